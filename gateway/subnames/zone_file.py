"""A whole zone in a file: what a second gateway needs to serve the same, and a signature that says who wrote it.

One JSON object in canonical form a line. The first is the header, the last the trailer::

    {"created":…,"format":"dm3-gateway zone 1","gateway":"ds.gw.eth","kind":"zone","parent":"gw.eth","settings":{…},…}
    {"kind":"name","name":"bob.gw.eth","records":{…},"sequence":3,…}
    {"kind":"person","name":"ann.example.org.email.gw.eth","records":{…},…}
    {"kind":"reservation",…}
    {"kind":"admin",…}
    {"kind":"end","lines":5,"sha256":"0x…","signature":"0x…"}

The digest is SHA-256 over all lines before the last, each with its line feed. The signature is a personal message
(ERC-191 version 0x45) of the resolver's signer over the text of ``signed_text``; answers of the resolver are of version
0, so neither can be taken for the other. All times are milliseconds since the epoch. There are no secrets in it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final, TypeAlias, TypeVar

from gateway.dm3.canonical import Json, JsonObject, parse_object, stringify
from gateway.dm3.encoding import from_hex, to_hex
from gateway.dm3.eth import checksum, eip191_hash, parse_address, recover
from gateway.ens.names import is_under, namehash, require_normal
from gateway.errors import BadSignature, GatewayError, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.admins import Admin
from gateway.store.names import NameRow, Origin
from gateway.store.reservations import Hold, Reservation
from gateway.subnames.records import records_of, with_records

FORMAT: Final = "dm3-gateway zone 1"
MAX_LINE: Final = 512 * 2**10
MAX_LINES: Final = 2_000_000
MAX_DEPTH: Final = 8
_MAX_NUMBER: Final = 2**53

E = TypeVar("E", Hold, Origin)


@dataclass(frozen=True, slots=True)
class Person:
    """A bridged person's public records, as the resolver serves them; nobody owns them as a name."""

    row: NameRow


Entry: TypeAlias = NameRow | Person | Reservation | Admin


@dataclass(frozen=True, slots=True)
class ZoneHeader:
    """Whose zone this is; ``gateway`` is the exporter's delivery service, ``settings`` what a copy must agree with."""

    parent: EnsName
    created_at: int
    gateway: str
    signer: EthAddress
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneSummary:
    """A zone that was written, or read to its end with everything right."""

    header: ZoneHeader
    counts: Mapping[str, int]
    """Entries by their kind."""
    digest: str


def signed_text(parent: str, lines: int, digest: str) -> str:
    """What the signer signs: a text that says what it is, for whatever wallet may show it."""
    return f"DM3 Gateway zone export, version 1\nparent: {parent}\nlines: {lines}\nsha256: {digest}"


class ZoneWriter:
    """Makes the lines of a file one after the other: header, entries, trailer."""

    def __init__(self, header: ZoneHeader) -> None:
        self.header = header
        self._digest = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._lines = 0

    def first(self) -> bytes:
        """The header's line."""
        header = self.header
        return self._line(
            {
                "kind": "zone",
                "format": FORMAT,
                "parent": header.parent,
                "created": header.created_at,
                "gateway": header.gateway,
                "signer": checksum(header.signer),
                "settings": dict(header.settings),
            }
        )

    def entry(self, entry: Entry) -> bytes:
        """The line of an entry."""
        value = _value_of(entry)
        self._counts[str(value["kind"])] += 1
        return self._line(value)

    def to_sign(self) -> bytes:
        """The 32-byte digest that the signer is handed when all entries are written."""
        return eip191_hash(signed_text(self.header.parent, self._lines, self._hex()).encode())

    def last(self, signature: bytes) -> bytes:
        """The trailer's line, with 65 bytes r || s || v over ``to_sign()``."""
        trailer = {"kind": "end", "lines": self._lines, "sha256": self._hex(), "signature": to_hex(signature)}
        return _bytes_of(trailer)

    def summary(self) -> ZoneSummary:
        """What was written."""
        return ZoneSummary(self.header, dict(self._counts), self._hex())

    def _hex(self) -> str:
        return "0x" + self._digest.hexdigest()

    def _line(self, value: dict[str, Any]) -> bytes:
        line = _bytes_of(value)
        self._digest.update(line)
        self._lines += 1
        return line


class ZoneReader:
    """Reads a file from its header; ``entries`` must be read to the end before anything of them is believed."""

    def __init__(self, file: BinaryIO) -> None:
        """Reads the header. Raises InvalidInput."""
        self._file = file
        self._digest = hashlib.sha256()
        self._lines = 0
        self._counts: Counter[str] = Counter()
        value = self._next()
        if value is None or value.get("kind") != "zone" or value.get("format") != FORMAT:
            raise InvalidInput(f"not a zone file: its first line is no header of {FORMAT!r}")
        settings = value.get("settings")
        if not isinstance(settings, dict):
            raise InvalidInput("line 1: settings must be an object")
        with _at_line(1):
            self.header = ZoneHeader(
                parent=require_normal(_text(value, "parent")),
                created_at=_number(value, "created"),
                gateway=_text(value, "gateway"),
                signer=parse_address(_text(value, "signer")),
                settings=settings,
            )

    def entries(self, expected: EthAddress | None = None) -> Iterator[Entry]:
        """All entries; then the trailer is checked.

        Raises InvalidInput that names the line, also for a file that was cut off; BadSignature when the file was
        changed, or was not signed by ``expected`` (by the signer of its header when None).
        """
        while (value := self._next()) is not None:
            if value.get("kind") == "end":
                self._check_end(value, expected)
                return
            with _at_line(self._lines):
                entry = _entry_of(value, self.header.parent)
            self._counts[str(value["kind"])] += 1
            yield entry
        raise InvalidInput("the file is cut off: it has no last line with a signature")

    def summary(self) -> ZoneSummary:
        """What was read."""
        return ZoneSummary(self.header, dict(self._counts), "0x" + self._digest.hexdigest())

    def _next(self) -> JsonObject | None:
        """The object of the next line; None at the end of the file."""
        line = self._file.readline(MAX_LINE + 1)
        if not line:
            return None
        number = self._lines + 1
        if len(line) > MAX_LINE or number > MAX_LINES:
            raise InvalidInput(f"line {number}: more bytes or lines than a zone file has")
        with _at_line(number):
            value = parse_object(line, max_bytes=MAX_LINE, max_depth=MAX_DEPTH)
        if value.get("kind") != "end":
            self._digest.update(line)
            self._lines = number
        return value

    def _check_end(self, value: JsonObject, expected: EthAddress | None) -> None:
        digest = "0x" + self._digest.hexdigest()
        read = {"lines": self._lines, "sha256": digest}
        if {key: value.get(key) for key in read} != read:
            raise BadSignature("the file was changed after it was written: its lines have another digest")
        if self._file.readline(1):
            raise InvalidInput("something stands behind the last line")
        with _at_line(self._lines + 1):
            signature = from_hex(_text(value, "signature"), "signature", length=65)
        message = eip191_hash(signed_text(self.header.parent, self._lines, digest).encode())
        signer = recover(message, signature)
        if signer != self.header.signer:
            raise BadSignature("the signature is not by the signer that the file names")
        if expected is not None and signer != expected:
            raise BadSignature(f"the file was signed by {checksum(signer)}, not by {checksum(expected)}")


@contextmanager
def _at_line(number: int) -> Iterator[None]:
    try:
        yield
    except GatewayError as error:
        raise InvalidInput(f"line {number}: {error.detail}") from None


def _bytes_of(value: dict[str, Any]) -> bytes:
    return f"{stringify(value)}\n".encode()


def _value_of(entry: Entry) -> dict[str, Any]:
    match entry:
        case Person(row):
            return {"kind": "person", "name": row.name, "records": records_of(row)}
        case Reservation():
            return {
                "kind": "reservation",
                "name": entry.name,
                "hold": entry.kind.value,
                "holder": entry.holder,
                "note": entry.note,
                "created": entry.created_at,
            }
        case Admin():
            return {"kind": "admin", "address": entry.address, "created": entry.created_at}
        case NameRow():
            return {
                "kind": "name",
                "name": entry.name,
                "owner": entry.owner,
                "created": entry.created_at,
                "updated": entry.updated_at,
                "expires": entry.expires_at,
                "released": entry.released_at,
                "sequence": entry.sequence,
                "listed": entry.listed,
                "reminded": entry.reminded,
                "origin": entry.origin.value,
                "skeleton": entry.skeleton,
                "records": records_of(entry),
            }


def _entry_of(value: JsonObject, parent: EnsName) -> Entry:
    kind = value.get("kind")
    if kind == "admin":
        return Admin(parent, parse_address(_text(value, "address")), _number(value, "created"))
    name = require_normal(_text(value, "name"))
    if not is_under(name, parent):
        raise InvalidInput(f"not a name below {parent}")
    if kind == "reservation":
        hold = _one_of(Hold, value, "hold")
        return Reservation(name, hold, _address(value, "holder"), _text(value, "note"), _number(value, "created"))
    if kind == "person":
        return Person(_with_records(_blank(name), value))
    if kind != "name":
        raise InvalidInput("an entry of no known kind")
    row = replace(
        _blank(name),
        owner=_address(value, "owner"),
        created_at=_number(value, "created"),
        updated_at=_number(value, "updated"),
        expires_at=_time(value, "expires"),
        released_at=_time(value, "released"),
        sequence=_number(value, "sequence"),
        listed=_flag(value, "listed"),
        reminded=_number(value, "reminded"),
        origin=_one_of(Origin, value, "origin"),
        skeleton=_text(value, "skeleton"),
    )
    return _with_records(row, value)


def _blank(name: EnsName) -> NameRow:
    return NameRow(
        name=name,
        node=namehash(name),
        owner=None,
        address=None,
        coins={},
        texts={},
        contenthash=None,
        created_at=0,
        updated_at=0,
        origin=Origin.IMPORT,
    )


def _with_records(row: NameRow, value: JsonObject) -> NameRow:
    records = value.get("records")
    if not isinstance(records, dict):
        raise InvalidInput("records: must be an object")
    texts = {key: text for key, text in records.items() if isinstance(text, str)}
    if len(texts) != len(records):
        raise InvalidInput("records: must be texts")
    return with_records(row, texts)


def _text(value: JsonObject, key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or "\0" in text:
        raise InvalidInput(f"{key}: must be a text")
    return text


def _number(value: JsonObject, key: str) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < _MAX_NUMBER:
        raise InvalidInput(f"{key}: must be a whole number")
    return number


def _time(value: JsonObject, key: str) -> int | None:
    return None if value.get(key) is None else _number(value, key)


def _flag(value: JsonObject, key: str) -> bool:
    flag = value.get(key)
    if not isinstance(flag, bool):
        raise InvalidInput(f"{key}: must be true or false")
    return flag


def _address(value: JsonObject, key: str) -> EthAddress | None:
    return None if value.get(key) is None else parse_address(_text(value, key))


def _one_of(kinds: type[E], value: JsonObject, key: str) -> E:
    try:
        return kinds(_text(value, key))
    except ValueError:
        raise InvalidInput(f"{key}: unknown") from None
