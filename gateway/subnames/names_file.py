"""Names in files: CSV for spreadsheets, JSON for programs, read with a sentence for every row that is wrong.

CSV has a header: ``name`` (required), ``owner``, ``expires``, ``listed``, and one column for each record by its key of
``gateway.subnames.records``. JSON is an array, or one object a line, of ``{"name", "owner", "expires", "listed",
"records": {key: value}}``. ``owner`` is an address or empty, ``expires`` a time of ISO 8601 with its zone (or a date,
which ends as the day begins in UTC) or empty for no end, ``listed`` true or false.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, which can send a row to a
stranger. Such cells are written with an apostrophe in front, and so are those that begin with an apostrophe; reading
takes exactly that apostrophe away, so nothing is lost on the way.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, BinaryIO, Final

from gateway.dm3.eth import checksum, parse_address
from gateway.ens.names import is_under, namehash, require_normal
from gateway.errors import GatewayError, InvalidInput, TooLarge
from gateway.ids import EnsName, EthAddress
from gateway.store.names import NameRow, Origin
from gateway.subnames.json_items import Item, items_of, object_of
from gateway.subnames.records import records_of, with_records

MAX_BYTES: Final = 128 * 2**20
MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 256
FIXED: Final = ("name", "owner", "expires", "listed")
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠'")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOM: Final = b"\xef\xbb\xbf"


class FileFormat(StrEnum):
    """How a file is written; ``JSON`` reads arrays and lines alike."""

    CSV = "csv"
    JSON = "json"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that can be one of our names; ``line`` is where it begins, from 1."""

    line: int
    row: NameRow


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be; ``name`` as it was written, or empty when the whole file is meant."""

    line: int
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Raw:
    line: int
    fields: Mapping[str, Any]
    records: Mapping[str, Any]


def read_names(file: BinaryIO, file_format: FileFormat, parent: EnsName, now: int) -> Iterator[FileRow | RowError]:
    """Rows of a file one after the other, new at ``now`` (ms); a wrong one is an error and the next follows.

    A header, or the syntax of an array, that cannot be read ends the file with one error. So do too many bytes or
    rows. Memory holds one row (of an array in JSON the whole text) and the names, to find those that come twice.
    """
    seen: dict[str, int] = {}
    raws = _csv_rows(file) if file_format is FileFormat.CSV else _json_rows(file)
    for count, raw in enumerate(raws, 1):
        if isinstance(raw, RowError):
            yield raw
            continue
        if count > MAX_ROWS:
            yield RowError(raw.line, "", f"The file has more than {MAX_ROWS} rows.")
            return
        written = raw.fields.get("name")
        name = written if isinstance(written, str) else ""
        try:
            row = _name_row(raw, parent, now)
            if (first := seen.setdefault(row.name, raw.line)) != raw.line:
                raise InvalidInput(f"the same name stands in line {first}")
        except GatewayError as error:
            yield RowError(raw.line, _shown(name), error.detail)
            continue
        yield FileRow(raw.line, row)


def keys_of(rows: Iterable[NameRow]) -> set[str]:
    """Keys of all records of these names: columns of a CSV file."""
    return {key for row in rows for key in records_of(row)}


def csv_line(cells: Sequence[str]) -> str:
    """One line of CSV (RFC 4180) whose cells no spreadsheet computes."""
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if cell[:1] in _FORMULA else cell for cell in cells])
    return out.getvalue()


def csv_header(keys: Sequence[str]) -> str:
    """The first line; ``keys`` are those of all records. Raises InvalidInput when there are too many."""
    if len(FIXED) + len(keys) > MAX_COLUMNS:
        raise InvalidInput(f"these names have {len(keys)} kinds of records, too many columns; write JSON")
    return csv_line([*FIXED, *keys])


def csv_row(row: NameRow, keys: Sequence[str]) -> str:
    """The line of one name below that header."""
    records = records_of(row)
    return csv_line([*(_cell(value) for value in _fields(row).values()), *(records.get(key, "") for key in keys)])


def json_row(row: NameRow) -> str:
    """The object of one name, in one line."""
    return json.dumps({**_fields(row), "records": records_of(row)}, ensure_ascii=False)


def iso_of(milliseconds: int) -> str:
    """A time as files have it: ``2027-01-31T12:00:00Z``, with milliseconds when there are any."""
    time = _EPOCH + timedelta(milliseconds=milliseconds)
    return time.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds").replace("+00:00", "Z")


def milliseconds_of(text: str) -> int:
    """The other way; raises InvalidInput."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None and len(text) == len("2027-01-31"):
            time = time.replace(tzinfo=UTC)
        if time.tzinfo is None:
            raise InvalidInput("expires: a time needs its zone, such as 2027-01-31T12:00:00Z")
        passed = (time - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InvalidInput("expires: not a time of ISO 8601, such as 2027-01-31T12:00:00Z") from None
    if passed <= 0:
        raise InvalidInput("expires: before 1970")
    return passed


def _fields(row: NameRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "owner": None if row.owner is None else checksum(row.owner),
        "expires": None if row.expires_at is None else iso_of(row.expires_at),
        "listed": row.listed,
    }


def _cell(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""


def _name_row(raw: _Raw, parent: EnsName, now: int) -> NameRow:
    for each in (*raw.fields.values(), *raw.records, *raw.records.values()):
        if isinstance(each, str):
            _check_text(each)
    name = _text(raw.fields, "name")
    if not name:
        raise InvalidInput("a row needs a name")
    normal = require_normal(name)
    if not is_under(normal, parent):
        raise InvalidInput(f"not a name below {parent}")
    expires = _text(raw.fields, "expires")
    row = NameRow(
        name=normal,
        node=namehash(normal),
        owner=_owner(_text(raw.fields, "owner")),
        address=None,
        coins={},
        texts={},
        contenthash=None,
        created_at=now,
        updated_at=now,
        origin=Origin.IMPORT,
        expires_at=milliseconds_of(expires) if expires else None,
        listed=_flag(raw.fields.get("listed")),
    )
    for key, value in raw.records.items():
        if not isinstance(value, str):
            raise InvalidInput(f"record {key[:80]!r}: must be a text")
    return with_records(row, raw.records)


def _owner(text: str) -> EthAddress | None:
    try:
        return parse_address(text) if text else None
    except InvalidInput as error:
        raise InvalidInput(f"owner: {error.detail}") from None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value is None or (isinstance(value, str) and value.lower() in ("", "false")):
        return False
    if isinstance(value, str) and value.lower() == "true":
        return True
    raise InvalidInput("listed: must be true or false")


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"{key}: must be a text")
    return value


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidInput("a NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("bytes that are not UTF-8, or half a character") from None


def _shown(name: str) -> str:
    """A name from a file, fit to be printed."""
    return name[:255].encode("utf-8", "replace").decode().replace("\0", "?")


# --- CSV --------------------------------------------------------------------------------------------------------


def _csv_rows(file: BinaryIO) -> Iterator[_Raw | RowError]:
    reader = csv.reader(_lines(file), strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield RowError(line, "", f"Not CSV: {error}.")
            if header is None:
                return
            continue
        except TooLarge:
            yield RowError(line, "", f"The file has more than {MAX_BYTES} bytes.")
            return
        if not cells:
            continue
        if header is None:
            header = [cell.strip() if cell.strip() in FIXED else cell for cell in cells]
            if fault := _header_fault(header):
                yield RowError(line, "", fault)
                return
        elif len(cells) != len(header):
            yield RowError(line, _shown(_plain(cells[0])), f"{len(cells)} cells below a header of {len(header)}")
        else:
            values = dict(zip(header, map(_plain, cells), strict=True))
            records = {key: value for key, value in values.items() if key not in FIXED and value}
            yield _Raw(line, {key: values[key] for key in FIXED if key in values}, records)
    if header is None:
        yield RowError(1, "", "The file is empty; its first line names the columns.")


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def _header_fault(header: Sequence[str]) -> str:
    if len(header) > MAX_COLUMNS:
        return f"The file has {len(header)} columns, more than {MAX_COLUMNS}."
    if "name" not in header:
        return "The first line names the columns, and one of them must be: name."
    if len(set(header)) != len(header):
        return "Two columns have the same name."
    for key in header:
        try:
            if key not in FIXED:
                with_records(_BLANK, {key: ""})
        except InvalidInput as error:
            return f"Unknown column: {error.detail}."
    return ""


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines with their ends; bytes that are no UTF-8 become surrogates, by which their row is refused."""
    size = 0
    for number, line in enumerate(_bounded_lines(file)):
        size += len(line)
        if size > MAX_BYTES:
            raise TooLarge
        yield (line.removeprefix(_BOM) if number == 0 else line).decode("utf-8", "surrogateescape")


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_BYTES + 1):
        yield line


# --- JSON -------------------------------------------------------------------------------------------------------


def _json_rows(file: BinaryIO) -> Iterator[_Raw | RowError]:
    lines = _lines(file)
    try:
        for item in items_of(lines):
            yield _json_row(item)
    except TooLarge:
        yield RowError(1, "", f"The file has more than {MAX_BYTES} bytes.")


def _json_row(item: Item) -> _Raw | RowError:
    try:
        value = object_of(item)
        name = value.get("name")
        shown = _shown(name) if isinstance(name, str) else ""
    except InvalidInput as error:
        return RowError(item.line, "", error.detail)
    if unknown := set(value) - {*FIXED, "records"}:
        return RowError(item.line, shown, f"unknown member {min(unknown)[:80]!r}")
    records = value.get("records")
    if not isinstance(records, dict | None):
        return RowError(item.line, shown, "records: must be an object")
    return _Raw(item.line, {key: value[key] for key in FIXED if key in value}, records or {})


_BLANK: Final = NameRow(
    name=EnsName("a.eth"),
    node=bytes(32),
    owner=None,
    address=None,
    coins={},
    texts={},
    contenthash=None,
    created_at=0,
    updated_at=0,
)
