"""What people and operators hand in about names: files, forms, orders, subscriptions."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel

from gateway.dm3.canonical import parse_json
from gateway.ids import EnsName, EthAddress
from gateway.relay.notify.mail_address import parse_mail_address
from gateway.relay.notify.subscription import parse_subscription
from gateway.subnames import forms
from gateway.subnames.names_file import FileFormat, FileRow, csv_header, csv_row, json_row, keys_of, read_names
from gateway.subnames.orders import order_json, read_order
from gateway.subnames.records import records_of
from gateway.subnames.zone_file import ZoneHeader, ZoneReader, ZoneWriter
from tests.fuzz.dm3_readers import ADDRESS, JSON_WORDS
from tests.fuzz.target import Target, each, text_of

PARENT = EnsName("gw.eth")
NOW = 1_750_000_000_000
FORMS: tuple[type[BaseModel], ...] = (
    *(forms.WantedName, forms.Claim, forms.SignInAs, forms.SignedMessage),
    *(forms.OrderForm, forms.SignedOrder, forms.LinkRequest, forms.LinkConfirmation),
)


def names_file(file_format: FileFormat) -> Callable[[bytes], None]:
    """A wrong row is an error of its line and never ends the file; what was read is read again as it was written."""

    def run(data: bytes) -> None:
        rows = [
            found.row for found in read_names(io.BytesIO(data), file_format, PARENT, NOW) if isinstance(found, FileRow)
        ]
        if not rows:
            return
        keys = sorted(keys_of(rows))
        table = csv_header(keys) + "".join(csv_row(row, keys) for row in rows)
        lines = "\n".join(map(json_row, rows))
        for text, written in ((table, FileFormat.CSV), (lines, FileFormat.JSON)):
            again = list(read_names(io.BytesIO(text.encode()), written, PARENT, NOW))
            assert [found.row for found in again if isinstance(found, FileRow)] == rows, written

    return run


def zone_file(data: bytes) -> None:
    """An entry that is read is written as it was read; whether the file is believed, its end decides."""
    reader = ZoneReader(io.BytesIO(data))
    for entry in reader.entries():
        writer = ZoneWriter(replace(reader.header, settings={}))
        text = writer.first() + writer.entry(entry)
        assert next(ZoneReader(io.BytesIO(text)).entries()) == entry


def order(data: bytes) -> None:
    """An order of a name's owner says the same when it is written anew."""
    read = read_order(parse_json(data, max_bytes=4096), EnsName("bob.gw.eth"), sequence=1, expires=2)
    assert read_order(order_json(read), read.name) == read
    read.typed_data(PARENT, 1)


def form(data: bytes) -> None:
    """A body for each of the forms, chosen by the first byte."""
    which = FORMS[data[0] % len(FORMS)] if data else FORMS[0]
    forms.read_form(which, parse_json(data[1:], max_bytes=4096))


def subscription(data: bytes) -> None:
    """Where notifications go, as a browser tells it."""
    read = parse_subscription(text_of(data))
    assert parse_subscription(read.to_text()) == read


def mail_address(data: bytes) -> None:
    """And as a person does."""
    read = parse_mail_address(text_of(data))
    assert parse_mail_address(read) == read


def _zone() -> bytes:
    header = ZoneHeader(parent=PARENT, created_at=NOW, gateway="1", signer=EthAddress(ADDRESS), settings={})
    writer = ZoneWriter(header)
    [row] = [
        found.row
        for found in read_names(io.BytesIO(_CSV), FileFormat.CSV, PARENT, NOW)
        if isinstance(found, FileRow) and records_of(found.row)
    ]
    person = json.dumps({"kind": "person", "name": "b.c.email.gw.eth", "records": {"text:a": "b"}}).encode() + b"\n"
    admin = json.dumps({"kind": "admin", "address": ADDRESS, "created": 1}).encode() + b"\n"
    hold = {"kind": "reservation", "name": "x.gw.eth", "hold": "reserved", "holder": None, "note": "", "created": 1}
    lines = [writer.first(), writer.entry(row), person, admin, json.dumps(hold).encode() + b"\n"]
    return b"".join(lines) + writer.last(b"\1" * 64 + b"\x1b")


_CSV = (
    f"name,owner,expires,listed,addr,text:url,coin:0\nbob.gw.eth,{ADDRESS},2027-01-31T12:00:00Z,true,{ADDRESS},"
    '"https://a.example/,""x""",0x00\nal.gw.eth,,,,,,\n'
).encode()
_JSON = (
    json.dumps(
        [{"name": "bob.gw.eth", "owner": ADDRESS, "listed": True, "records": {"text:a": "b", "abi:1": "0x5b5d"}}]
    )
).encode()
_LINES = b'{"name":"bob.gw.eth","expires":"2027-01-31"}\n{"name":"al.gw.eth","records":{"contenthash":"0xe301"}}\n'
_ORDERS = (
    {"action": "records", "records": {"text:url": "a"}, "nonce": 1, "expires": 2},
    {"action": "transfer", "to": ADDRESS},
    {"action": "list", "listed": True},
)
_ZONE_WORDS = (
    *JSON_WORDS,
    '"kind":"person"',
    '"kind":"admin"',
    '"kind":"end"',
    "\n",
    "text:",
    "coin:",
    "abi:",
    "data:",
)
_SUBSCRIPTION = {"endpoint": "https://a.example", "keys": {"p256dh": "BA" + "A" * 85, "auth": "A" * 22}}

TARGETS = (
    Target("names-csv", names_file(FileFormat.CSV), (_CSV,), (".gw.eth", '"', ",", "\r\n", "text:", "'=", "coin:60")),
    Target("names-json", names_file(FileFormat.JSON), (_JSON, _LINES), _ZONE_WORDS),
    Target("zone-file", zone_file, (_zone(),), _ZONE_WORDS),
    Target("order", order, tuple(json.dumps(one).encode() for one in _ORDERS), JSON_WORDS),
    Target(
        "form",
        form,
        tuple(
            bytes([number]) + json.dumps(body).encode()
            for number, body in enumerate(
                (
                    *(
                        {"name": "bob.gw.eth", "address": ADDRESS},
                        {"name": "bob.gw.eth", "message": "m", "signature": "0x"},
                    ),
                    *({"address": ADDRESS}, {"message": "m", "signature": "0x" + "11" * 65}),
                    *(_ORDERS[0], {"order": _ORDERS[1], "signature": "0x" + "11" * 65}),
                    *({"network": "email", "person": "a@b.example"}, {"code": "ABCD-2345", "signature": "0x"}),
                )
            )
        ),
        JSON_WORDS,
    ),
    Target("push-subscription", subscription, (json.dumps(_SUBSCRIPTION).encode(),), JSON_WORDS),
    Target("mail-address", mail_address, each("bob@example.org", '"a b"@bücher.example', "a@[::1]"), max_bytes=400),
)
