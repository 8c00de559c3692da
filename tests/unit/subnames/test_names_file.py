"""Names in files: both ways in every format, and a sentence for everything that is wrong."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.eth import checksum
from gateway.ens.names import namehash
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.names import NameRow, Origin
from gateway.subnames import names_file
from gateway.subnames.names_file import (
    MAX_COLUMNS,
    FileFormat,
    FileRow,
    RowError,
    csv_header,
    csv_row,
    iso_of,
    json_row,
    keys_of,
    milliseconds_of,
    read_names,
)
from gateway.subnames.records import records_of, with_records

GW = EnsName("gw.eth")
NOW = 1_800_000_000_000
OWNER = EthAddress("0x" + "5a" * 20)
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def blank(name: str, **changes: Any) -> NameRow:
    normal = EnsName(name)
    row = NameRow(
        name=normal,
        node=namehash(normal),
        owner=None,
        address=None,
        coins={},
        texts={},
        contenthash=None,
        created_at=NOW,
        updated_at=NOW,
        origin=Origin.IMPORT,
    )
    return replace(row, **changes)


def read(data: str | bytes, file_format: FileFormat = FileFormat.CSV) -> list[FileRow | RowError]:
    encoded = data.encode() if isinstance(data, str) else data
    return list(read_names(io.BytesIO(encoded), file_format, GW, NOW))


def rows_of(data: str | bytes, file_format: FileFormat = FileFormat.CSV) -> list[NameRow]:
    found = read(data, file_format)
    assert all(isinstance(each, FileRow) for each in found), found
    return [each.row for each in found if isinstance(each, FileRow)]


def faults(data: str | bytes, file_format: FileFormat = FileFormat.CSV) -> list[tuple[int, str, str]]:
    return [(each.line, each.name, each.sentence) for each in read(data, file_format) if isinstance(each, RowError)]


def csv_of(rows: list[NameRow]) -> str:
    keys = sorted(keys_of(rows))
    return csv_header(keys) + "".join(csv_row(row, keys) for row in rows)


BOB = with_records(
    blank("bob.gw.eth", owner=OWNER, expires_at=NOW, listed=True),
    {"addr": ADDRESS, "text:url": "https://bob.example", "coin:0": "0x00"},
)


def test_csv_as_a_person_writes_it() -> None:
    text = (
        "\ufeffname,owner,expires,listed,addr,text:url,coin:0\r\n"
        f"bob.gw.eth,{OWNER},2027-01-15T08:00:00Z,TRUE,{ADDRESS},https://bob.example,0x00\r\n"
        "\r\n"
        'ann.gw.eth,,,,,"two\r\nlines, and ""quotes""",\r\n'
    )
    bob, ann = read(text)
    assert bob == FileRow(2, BOB)
    assert ann == FileRow(4, blank("ann.gw.eth", texts={"url": 'two\r\nlines, and "quotes"'}))


def test_only_the_name_is_needed() -> None:
    assert rows_of("name\nbob.gw.eth\n") == [blank("bob.gw.eth")]
    assert rows_of('{"name": "bob.gw.eth"}', FileFormat.JSON) == [blank("bob.gw.eth")]


def test_json_in_both_forms() -> None:
    one = json_row(BOB)
    assert json.loads(one) == {
        "name": "bob.gw.eth",
        "owner": checksum(OWNER),
        "expires": "2027-01-15T08:00:00Z",
        "listed": True,
        "records": {"addr": ADDRESS, "coin:0": "0x00", "text:url": "https://bob.example"},
    }
    two = json_row(blank("ann.gw.eth"))
    assert rows_of(f"\n{one}\n\n{two}\n", FileFormat.JSON_LINES) == [BOB, blank("ann.gw.eth")]
    array = read(f"\ufeff\n [\n{one},\n\n{two}\n ]\n", FileFormat.JSON)
    assert array == [FileRow(3, BOB), FileRow(5, blank("ann.gw.eth"))]
    assert rows_of("[]", FileFormat.JSON) == rows_of("", FileFormat.JSON) == []


def test_one_wrong_row_does_not_hide_the_others() -> None:
    text = (
        "name,owner,expires,listed,addr,coin:0\n"
        "good.gw.eth,,,,,\n"
        "Bob.gw.eth,,,,,\n"
        "bob.other.eth,,,,,\n"
        "gw.eth,,,,,\n"
        "a.gw.eth,0x12,,,,\n"
        "b.gw.eth,,tomorrow,,,\n"
        "c.gw.eth,,2027-01-15T08:00:00,,,\n"
        "d.gw.eth,,,maybe,,\n"
        "e.gw.eth,,,,0x12,\n"
        "f.gw.eth,,,,,00\n"
        "g.gw.eth,,,,\n"
        ",,,,,\n"
        "good.gw.eth,,,,,\n"
        "last.gw.eth,,,,,\n"
    )
    found = read(text)
    assert [each.row.name for each in found if isinstance(each, FileRow)] == ["good.gw.eth", "last.gw.eth"]
    assert faults(text) == [
        (3, "Bob.gw.eth", "the name is not in its normal form"),
        (4, "bob.other.eth", "not a name below gw.eth"),
        (5, "gw.eth", "not a name below gw.eth"),
        (6, "a.gw.eth", "owner: not an Ethereum address"),
        (7, "b.gw.eth", "expires: not a time of ISO 8601, such as 2027-01-31T12:00:00Z"),
        (8, "c.gw.eth", "expires: a time needs its zone, such as 2027-01-31T12:00:00Z"),
        (9, "d.gw.eth", "listed: must be true or false"),
        (10, "e.gw.eth", "record 'addr': not an Ethereum address"),
        (11, "f.gw.eth", "record 'coin:0': must be 0x and an even number of hex digits"),
        (12, "g.gw.eth", "5 cells below a header of 6"),
        (13, "", "a row needs a name"),
        (14, "good.gw.eth", "the same name stands in line 2"),
    ]


def test_bytes_that_are_no_text() -> None:
    found = read(b"name,text:a\na.gw.eth,\xff\nb.gw.eth,\x00\nc.gw.eth,ok\n")
    assert [type(each) for each in found] == [RowError, RowError, FileRow]
    lone = '{"name":"a.gw.eth","records":{"text:a":"\\ud800"}}\n{"name":"b\\u0000.gw.eth"}\n{"name":"c.gw.eth"}'
    assert [type(each) for each in read(lone, FileFormat.JSON)] == [RowError, RowError, FileRow]
    for error in read(lone, FileFormat.JSON)[:2]:
        assert isinstance(error, RowError)
        error.name.encode()
        assert "\0" not in error.name


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("", "empty"),
        ("owner,addr", "name"),
        ("name,name", "same name"),
        ("name,addr,addr", "same name"),
        ("name,nickname", "'nickname'"),
        ("name,coin:60", "coin type 60"),
        ("name,text:", "'text:'"),
        ("name," + ",".join(f"text:{n}" for n in range(MAX_COLUMNS)), "columns"),
        ('name,"a', "Not CSV"),
    ],
)
def test_a_header_that_is_none_ends_the_file(header: str, word: str) -> None:
    ((line, name, sentence),) = faults(f"{header}\nbob.gw.eth\n" if header else "")
    assert (line, name) == (1, "")
    assert word in sentence


def test_csv_that_breaks_goes_on_with_the_next_line() -> None:
    found = read('name,text:a\na.gw.eth,"x"y\nb.gw.eth,z\nc.gw.eth,"open\n')
    assert [type(each) for each in found] == [RowError, FileRow, RowError]
    long = read(f"name,text:a\na.gw.eth,{'x' * 140_000}\nb.gw.eth,z\n")
    assert [type(each) for each in long] == [RowError, FileRow]


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("[1]", "not an object"),
        ('{"name":1}', "name: must be a text"),
        ('{"name":"a.gw.eth","nick":1}', "unknown member 'nick'"),
        ('{"name":"a.gw.eth","records":[]}', "records: must be an object"),
        ('{"name":"a.gw.eth","records":{"addr":1}}', "record 'addr': must be a text"),
        ('{"name":"a.gw.eth","records":{"text:a":NaN}}', "not JSON: NaN"),
        ('{"name":"a.gw.eth","name":"b.gw.eth"}', "not JSON: the same member twice"),
        ('{"name":"a.gw.eth","listed":1}', "listed: must be true or false"),
        ('{"name":"a.gw.eth","expires":5}', "expires: must be a text"),
        ('{"name":"a.gw.eth"', "not JSON: Expecting ',' delimiter"),
        ('{"name":"a.gw.eth"} {}', "not JSON: more than one value in a line"),
        ('{"name":' + "9" * 5000 + "}", "not JSON: a number that is too long"),
        ('{"name":' + "[" * 200_000, "not JSON: nested too deeply"),
    ],
)
def test_lines_of_json_that_are_no_names(item: str, sentence: str) -> None:
    found = read(f'{{"name":"x.gw.eth"}}\n{item}\n{{"name":"y.gw.eth"}}\n', FileFormat.JSON_LINES)
    assert [type(each) for each in found] == [FileRow, RowError, FileRow]
    assert isinstance(found[1], RowError)
    assert (found[1].line, found[1].sentence) == (2, sentence)


def test_nesting_cannot_use_up_the_stack() -> None:
    """Also where somebody has raised the interpreter's own limit, which is all that stops its parser."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        for deep in ("[" * 500_000, '{"name":' * 500_000, '[{"name":"' + '\\"' * 9 + '"}' + "," + "[" * 500_000):
            for file_format in (FileFormat.JSON, FileFormat.JSON_LINES):
                assert faults(deep, file_format)[0][2] == "not JSON: nested too deeply"
    finally:
        sys.setrecursionlimit(before)
    assert rows_of('{"name":"a.gw.eth","records":{"text:a":"[[[[[[[[[[[["}}', FileFormat.JSON)


@pytest.mark.parametrize("end", ["", ",", ",]", " 5]", "] 5", ",{]"])
def test_an_array_ends_at_its_first_fault(end: str) -> None:
    found = read('[{"name":"x.gw.eth"}\n' + end, FileFormat.JSON)
    assert [type(each) for each in found] == [FileRow, RowError]
    assert isinstance(found[1], RowError)
    assert found[1].line in (1, 2)
    assert found[1].sentence.startswith("not JSON: ")


def test_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"n{number}.gw.eth\n" for number in range(20))
    monkeypatch.setattr(names_file, "MAX_ROWS", 10)
    found = read("name\n" + lines)
    assert len(found) == 11
    assert found[10] == RowError(12, "", "The file has more than 10 rows.")
    monkeypatch.setattr(names_file, "MAX_BYTES", 50)
    for file_format in FileFormat:
        assert "more than 50 bytes" in faults("name\n" + lines, file_format)[-1][2]
    assert "more than 50 bytes" in faults("x" * 100)[-1][2]


def test_no_cell_is_a_formula() -> None:
    """The cell that a spreadsheet shows begins with an apostrophe, which reading takes away again."""
    evil = ('=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''", "＝1", "'")
    row = blank("-a.gw.eth", texts={f"k{n}": text for n, text in enumerate(evil)})
    text = csv_of([row])
    cells = text.partition("\r\n")[2]
    assert cells.startswith("'-a.gw.eth,")
    assert "'=HYPERLINK" in cells
    assert not any(cell[:1] in "=+-@" for cell in cells.replace('"', "").split(",") if cell)
    assert rows_of(text) == [row]
    assert rows_of("name,text:a\nb.gw.eth,'tis\n")[0].texts == {"a": "'tis"}


def test_too_many_kinds_of_records_for_a_table() -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        csv_header([f"text:{number}" for number in range(MAX_COLUMNS)])


def test_times() -> None:
    assert iso_of(NOW) == "2027-01-15T08:00:00Z"
    assert iso_of(NOW + 5) == "2027-01-15T08:00:00.005Z"
    assert milliseconds_of("2027-01-15T09:00:00+01:00") == NOW
    assert milliseconds_of("2027-01-15") == NOW - 8 * 3600 * 1000
    for wrong in ("", "1969-01-01", "20270115T08", "2027-13-01", "0001-01-01T00:00:00+10:00", "2027-01-15T25:00Z"):
        with pytest.raises(InvalidInput):
            milliseconds_of(wrong)


LABELS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True).filter(lambda label: label[2:4] != "--")
TEXTS = st.text(
    st.one_of(st.sampled_from("'=+-@,\"\t\r\n \ufeff"), st.characters(codec="utf-8", exclude_characters="\0")),
    min_size=1,
    max_size=20,
)
HEX = st.binary(min_size=1, max_size=30).map(lambda data: "0x" + data.hex())
RECORDS = st.dictionaries(
    st.one_of(st.just("addr"), TEXTS.map("text:{}".format), TEXTS.map("data:{}".format), st.just("coin:0")),
    st.none(),
    max_size=4,
)


@st.composite
def names(draw: st.DrawFn) -> list[NameRow]:
    """Some names with records of several kinds."""
    rows = []
    for label in draw(st.lists(LABELS, unique=True, max_size=5)):
        records = {
            key: ADDRESS if key == "addr" else draw(TEXTS if key.startswith("text:") else HEX) for key in draw(RECORDS)
        }
        row = blank(
            f"{label}.gw.eth",
            owner=draw(st.sampled_from([None, OWNER])),
            expires_at=draw(st.none() | st.integers(1, 250_000_000_000_000)),
            listed=draw(st.booleans()),
        )
        rows.append(with_records(row, records))
    return rows


@given(names())
def test_nothing_is_lost_on_the_way(rows: list[NameRow]) -> None:
    assert [records_of(row) for row in rows_of(csv_of(rows))] == [records_of(row) for row in rows]
    assert rows_of(csv_of(rows)) == rows
    lines = [json_row(row) for row in rows]
    assert rows_of("\n".join(lines), FileFormat.JSON_LINES) == rows
    assert rows_of(f"[{','.join(lines)}]", FileFormat.JSON) == rows


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(FileFormat))
def test_any_file_is_read_to_some_end(data: bytes, file_format: FileFormat) -> None:
    for each in read(data, file_format):
        assert each.line >= 1
    for each in read(b"name,text:a\n" + data, file_format):
        assert each.line >= 1
