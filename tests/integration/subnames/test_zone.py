"""A whole zone out of one store and into another: the same answers, and no change goes unseen."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.dm3.canonical import stringify
from gateway.dm3.eth import address_of, checksum, sign_digest, sign_text
from gateway.ens.names import namehash
from gateway.errors import BadSignature, GatewayError, InvalidInput
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.admins import AddAdmin, Admin, AdminsOf
from gateway.store.audit import BEGINNING, AuditPage, first_break
from gateway.store.bulk import Outcome, WholeZone
from gateway.store.identities import Identity, IssueIdentity, ShredIdentity
from gateway.store.names import NameNamed, NameRow, Origin, PutName
from gateway.store.reservations import Hold, ListReservations, PutReservation, Reservation
from gateway.subnames.zone import ZoneImport, check_zone, export_zone, import_zone
from gateway.subnames.zone_file import ZoneHeader, ZoneReader, signed_text
from tests.integration.store.values import NOW, address, identity, name_row

GW = EnsName("gw.eth")
KEY = b"\x07" * 32
SIGNER = address_of(KEY)
HEADER = ZoneHeader(GW, NOW, "ds.gw.eth", SIGNER, {"answerTtl": 300})
BY_OPERATOR = ZoneImport("operator")


def row(label: str, **changes: Any) -> NameRow:
    made = name_row(f"{label}.gw.eth", **changes)
    # Records without a text are none in a file.
    return replace(made, node=namehash(made.name), texts={key: text for key, text in made.texts.items() if text})


ROWS = [
    row("ann", sequence=5, expires_at=NOW + 9, listed=True, reminded=2, origin=Origin.CLAIM, skeleton="ann"),
    row("bób", owner=None, abis={1: b"[]"}, interfaces={"01ffc9a7": b"i" * 20}, data={"x": b"\0"}, pubkey=b"p" * 64),
    row("gone", released_at=NOW - 5, sequence=9, address=None, coins={}, texts={}, contenthash=None),
]
RESERVED = Reservation(EnsName("kept.gw.eth"), Hold.RESERVED, address("kept"), "für später", NOW)
ELSEWHERE = Reservation(EnsName("kept.other.eth"), Hold.BLOCKED, None, "", NOW)
ADMIN = Admin(GW, address("admin"), NOW)


def public(person: Identity) -> NameRow | None:
    return name_row(
        person.name,
        node=namehash(person.name),
        owner=None,
        texts={"network.dm3.profile": f"profile of {person.display_name}"},
        coins={},
        contenthash=None,
    )


async def sign(digest: bytes) -> bytes:
    return sign_digest(KEY, digest)


@pytest.fixture
async def second(postgres_store_url: str) -> AsyncIterator[Store]:
    """A store of another kind: what one writes the other must read."""
    async with await Store.open(postgres_store_url) as opened:
        yield opened


@pytest.fixture
async def first(sqlite_store_url: str) -> AsyncIterator[Store]:
    async with await Store.open(sqlite_store_url) as opened:
        for each in ROWS:
            await opened.commit(PutName(each))
        await opened.commit(PutName(name_row("ann.other.eth")))
        await opened.commit_all(PutReservation(RESERVED), PutReservation(ELSEWHERE), AddAdmin(ADMIN))
        await opened.commit(AddAdmin(Admin(EnsName("other.eth"), address("x"), NOW)))
        gone = await opened.commit(IssueIdentity(identity("gone")))
        await opened.commit(IssueIdentity(identity("ann")))
        await opened.commit(ShredIdentity(gone.id, NOW, "tombstone"))
        yield opened


async def exported(store: Store, header: ZoneHeader = HEADER) -> bytes:
    file = io.BytesIO()
    await export_zone(store, header, file, public_records=public, sign=sign)
    return file.getvalue()


async def taken(store: Store, data: bytes, how: ZoneImport = BY_OPERATOR, parent: EnsName = GW) -> Any:
    return await import_zone(store, lambda: NOW + 1, parent, io.BytesIO(data), how)


async def test_what_is_in_the_file(first: Store) -> None:
    lines = [json.loads(line) for line in (await exported(first)).splitlines()]
    assert [(line["kind"], line.get("name", line.get("address"))) for line in lines] == [
        ("zone", None),
        ("name", "ann.gw.eth"),
        ("name", "bób.gw.eth"),
        ("name", "gone.gw.eth"),
        ("person", "ann.example.org.email.gw.eth"),
        ("reservation", "kept.gw.eth"),
        ("admin", ADMIN.address),
        ("end", None),
    ]
    assert lines[0]["signer"] == checksum(SIGNER)
    assert lines[1]["records"]["text:network.dm3.profile"] == ROWS[0].texts["network.dm3.profile"]
    assert not {"sealed_salt", "digest", "secret"} & {key for line in lines for key in line}
    text = signed_text(GW, 7, lines[-1]["sha256"])
    assert lines[-1]["signature"] == sign_text(KEY, text), "any wallet can check it as a personal message"


async def test_a_second_gateway_has_the_same(first: Store, second: Store) -> None:
    data = await exported(first)
    report = await taken(second, data, ZoneImport("operator", expected=SIGNER))
    assert report.outcomes == {Outcome.NEW: 4}
    assert (report.refused, report.own_people) == ((), 0)
    assert dict(report.summary.counts) == {"name": 3, "person": 1, "reservation": 1, "admin": 1}
    zone = await second.read(WholeZone(GW, 99))
    assert [each for each in zone if "email" not in each.name] == ROWS
    person = await second.read(NameNamed(EnsName("ann.example.org.email.gw.eth")))
    assert person is not None
    assert (person.owner, person.texts) == (None, {"network.dm3.profile": "profile of Person ann"})
    assert await second.read(ListReservations(9)) == [RESERVED]
    assert await second.read(AdminsOf(GW, 9)) == [ADMIN]
    log = await second.read(AuditPage(0, 99))
    assert first_break(BEGINNING, log) is None
    assert [each.entry.action for each in log] == ["name.imported"] * 4 + ["zone.imported"]
    assert json.loads(log[-1].entry.detail)["sha256"] == report.summary.digest
    again = await taken(second, data)
    assert again.outcomes == {Outcome.SAME: 4}


async def test_a_copy_of_the_copy_says_the_same_names(first: Store, second: Store) -> None:
    await taken(second, await exported(first))
    copy = [json.loads(line) for line in (await exported(second)).splitlines()]
    assert [line["name"] for line in copy if line["kind"] == "name"] == [
        "ann.gw.eth",
        "bób.gw.eth",
        "ann.example.org.email.gw.eth",
        "gone.gw.eth",
    ]


async def test_names_that_differ_are_replaced_when_told(first: Store, second: Store) -> None:
    mine = replace(ROWS[0], owner=address("other"), sequence=40)
    await second.commit(PutName(mine))
    report = await taken(second, await exported(first))
    assert report.refused == (mine.name,)
    assert await second.read(NameNamed(mine.name)) == mine
    report = await taken(second, await exported(first), ZoneImport("operator", overwrite=True))
    assert report.outcomes == {Outcome.CHANGED: 1, Outcome.SAME: 3}
    assert await second.read(NameNamed(mine.name)) == replace(ROWS[0], sequence=40), "orders of before stay used up"


async def test_people_with_keys_here_need_no_copy(first: Store, second: Store) -> None:
    await second.commit(IssueIdentity(identity("ann")))
    report = await taken(second, await exported(first))
    assert (report.own_people, report.outcomes) == (1, {Outcome.NEW: 3})


def resigned(lines: list[bytes], key: bytes = KEY) -> bytes:
    """A file whose digest and signature are right for lines that no writer makes."""
    import hashlib

    body = b"".join(lines)
    digest = "0x" + hashlib.sha256(body).hexdigest()
    signature = sign_text(key, signed_text(GW, len(lines), digest))
    end = {"kind": "end", "lines": len(lines), "sha256": digest, "signature": signature}
    return body + stringify(end).encode() + b"\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "by", "error"),
    [
        (rb'"sequence":5', b'"sequence":6', BadSignature),
        (rb'"listed":true', b'"listed":false', BadSignature),
        (rb'"answerTtl":300', b'"answerTtl":301', BadSignature),
        (rb'\{[^\n]*"kind":"reservation"[^\n]*\n', b"", BadSignature),
        (rb'(\{[^\n]*"kind":"admin"[^\n]*\n)', rb"\1\1", BadSignature),
        (rb'\{"address"[^\n]*\n(\{"kind":"end"[^\n]*\n)', rb"\1", BadSignature),
        (rb'\{"kind":"end"[^\n]*\n', b"", InvalidInput),
        (rb"\n\Z", b"\n{}\n", InvalidInput),
        (rb'"signature":"0x..', b'"signature":"0xff', BadSignature),
        (rb'"signature":"0x', b'"signature":"', InvalidInput),
        (rb'"lines":7', b'"lines":8', BadSignature),
        (rb"dm3-gateway zone 1", b"dm3-gateway zone 2", InvalidInput),
        (rb'"kind":"person"', b'"kind":"ghost"', InvalidInput),
        (rb"\A[^\n]*\n", b"", InvalidInput),
        (rb"\A", b"x", InvalidInput),
        (rb"(?s)\A.*", b"", InvalidInput),
    ],
)
async def test_whatever_is_changed_is_seen_and_nothing_is_written(
    first: Store, second: Store, what: bytes, by: bytes, error: type[GatewayError]
) -> None:
    data = await exported(first)
    changed = re.sub(what, by, data, count=1)
    assert changed != data
    with pytest.raises(error):
        await taken(second, changed)
    assert await second.read(WholeZone(GW, 9)) == []
    assert await second.read(AuditPage(0, 9)) == []


async def test_who_signed_is_checked(first: Store, second: Store) -> None:
    data = await exported(first)
    mallory = address_of(b"\x08" * 32)
    with pytest.raises(BadSignature, match=checksum(SIGNER)):
        await taken(second, data, ZoneImport("operator", expected=mallory))
    lines = data.splitlines(keepends=True)[:-1]
    with pytest.raises(BadSignature, match="names"):
        await taken(second, resigned(lines, b"\x08" * 32))
    with pytest.raises(InvalidInput, match=r"not of other\.eth"):
        await taken(second, data, parent=EnsName("other.eth"))
    assert (await taken(second, resigned(lines))).outcomes == {Outcome.NEW: 4}


@pytest.mark.parametrize(
    ("what", "by"),
    [
        ("ann.gw.eth", "ann.other.eth"),
        ("ann.gw.eth", "Ann.gw.eth"),
        ('"sequence":5', '"sequence":-1'),
        ('"sequence":5', '"sequence":true'),
        ('"sequence":5', '"sequence":1.5'),
        ('"listed":true', '"listed":1'),
        ('"origin":"claim"', '"origin":"theft"'),
        ('"records":{', '"records":[],"x":{'),
        ('"skeleton":"ann"', '"skeleton":"\\u0000"'),
        ('"expires":', '"expires":"x","y":'),
        ('"owner":"0x', '"owner":"0x0'),
        ('"coin:0":"0x', '"coin:0":"'),
    ],
)
async def test_a_signed_file_is_not_believed_blindly(first: Store, what: str, by: str) -> None:
    lines = (await exported(first)).splitlines(keepends=True)[:-1]
    lines[1] = lines[1].decode().replace(what, by, 1).encode()
    with pytest.raises(InvalidInput, match="line 2: "):
        check_zone(io.BytesIO(resigned(lines)), GW, None)


async def test_settings_travel_with_it(first: Store) -> None:
    reader = ZoneReader(io.BytesIO(await exported(first)))
    assert reader.header == HEADER
