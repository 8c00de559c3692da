"""Transactions are read as JSON is, and each event is kept as it came, whatever stands in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.errors import BadEvent
from adapters.matrix.transactions import STRAY, native_events, read_transaction
from gateway.bridge.jobs import decode_events, event_job
from gateway.ids import Network
from gateway.sdk import NativeEvent

ROOM = "!room:localhost"
RECEIPT = {"type": "m.receipt", "room_id": ROOM, "content": {}}
TYPING = {"type": "m.typing", "room_id": ROOM, "content": {}}
UNSTABLE = "de.sorunome.msc2409.ephemeral"

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from(["events", "ephemeral", UNSTABLE, "other"]) | st.text(max_size=4)
bodies = st.dictionaries(names, st.lists(values, max_size=4) | values, max_size=5)


def taken(body: bytes) -> list[NativeEvent]:
    return native_events(read_transaction(body))


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def event(number: int = 1, **more: object) -> dict[str, object]:
    return {"type": "m.room.message", "room_id": ROOM, "event_id": f"${number}", "content": {}, **more}


@given(bodies, st.sampled_from([None, 0, 3]), st.booleans())
def test_what_is_read_is_what_json_reads(value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if not isinstance(value.get("events"), list):
        with pytest.raises(BadEvent, match="no list"):
            read_transaction(body)
        return
    transaction = read_transaction(body)
    assert [each.raw for each in transaction.events] == value["events"]
    assert [json.loads(each.payload) for each in transaction.events] == value["events"]
    lists = [found for name in ("ephemeral", UNSTABLE) if isinstance(found := value.get(name), list)]
    assert [each.raw for each in transaction.ephemeral] == next(iter(lists), [])


@given(st.data(), bodies)
def test_what_json_refuses_is_refused(data: st.DataObject, value: dict[str, Any]) -> None:
    text = json.dumps({"events": [event()], **value})
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(at + 2, len(text))))
    damaged = text[:at] + data.draw(st.text(alphabet='[]{}",:\\ \n1a\ufeff', max_size=2)) + text[end:]
    try:
        expected = json.loads(damaged)
    except ValueError:
        with pytest.raises(BadEvent) as refused:
            read_transaction(damaged.encode())
        assert refused.value.syntax
        return
    if isinstance(expected, dict) and isinstance(expected.get("events"), list):
        assert [each.raw for each in read_transaction(damaged.encode()).events] == expected["events"]
    else:
        with pytest.raises(BadEvent) as refused:
            read_transaction(damaged.encode())
        assert not refused.value.syntax


@pytest.mark.parametrize(
    ("body", "syntax"),
    [
        (b"", True),
        (b"\xff", True),
        (b"{", True),
        (b'{"events":[]', True),
        (b'{"events":[],}', True),
        (b'{"events":[1,]}', True),
        (b'{"events":[1 2]}', True),
        (b'{"events":[]} x', True),
        (b'{1:[],"events":[]}', True),
        (b"\xef\xbb\xbf{}", True),
        (b"[]", False),
        (b"null", False),
        (b'"events"', False),
        (b"{}", False),
        (b'{"events":null}', False),
        (b'{"events":{}}', False),
        (b'{"events":[],"events":1}', False),
    ],
)
def test_what_is_no_transaction(body: bytes, syntax: bool) -> None:
    with pytest.raises(BadEvent) as refused:
        read_transaction(body)
    assert refused.value.syntax is syntax


def test_an_event_is_kept_byte_for_byte() -> None:
    written = '{ "room_id":"!r:x",  "n":1.50, "big":1e999, "é":"\\u00e9 é", "event_id":"$1" }'
    (kept,) = taken(f'{{"events" : [ {written} ] }}'.encode())
    assert kept.payload == written.encode()
    assert (kept.lane, kept.key) == ("!r:x", "$1")


def test_events_stay_in_order_and_have_their_own_lanes_and_keys() -> None:
    events = [event(number, room_id=f"!{number % 2}:x") for number in range(5)]
    kept = taken(dumped({"events": events}))
    assert [each.key for each in kept] == ["$0", "$1", "$2", "$3", "$4"]
    assert [each.lane for each in kept] == ["!0:x", "!1:x", "!0:x", "!1:x", "!0:x"]


def test_a_transaction_that_comes_again_is_the_same() -> None:
    body = dumped({"events": [event(1), 7, event(2)], "ephemeral": [RECEIPT]})
    assert taken(body) == taken(body)


@pytest.mark.parametrize(
    "bad", [1, None, "text", [], [event()], {}, {"event_id": 1}, {"event_id": None, "room_id": []}], ids=repr
)
def test_what_cannot_be_read_is_kept_too(bad: object) -> None:
    before, kept, after = taken(dumped({"events": [event(1), bad, event(2)]}))
    assert (before.key, after.key) == ("$1", "$2")
    assert (kept.lane, kept.key) == (STRAY, "")
    assert json.loads(kept.payload) == bad


@pytest.mark.parametrize("room", ["", "room", "#room:x", "!", "! x", "!" + "x" * 255, 7])
def test_a_room_without_an_id_is_no_lane(room: object) -> None:
    (kept,) = taken(dumped({"events": [event(room_id=room)]}))
    assert kept.lane == STRAY
    assert kept.key == "$1"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"ephemeral": [RECEIPT]}, 1),
        ({UNSTABLE: [RECEIPT]}, 1),
        ({"ephemeral": [RECEIPT], UNSTABLE: [RECEIPT]}, 1),
        ({"ephemeral": [], UNSTABLE: [RECEIPT]}, 0),
        ({"ephemeral": None, UNSTABLE: [RECEIPT]}, 1),
        ({"ephemeral": [TYPING, RECEIPT, 7, RECEIPT]}, 2),
        ({"ephemeral": {"type": "m.receipt"}}, 0),
        ({}, 0),
    ],
    ids=repr,
)
def test_receipts_under_both_names(body: dict[str, object], kept: int) -> None:
    found = taken(dumped({"events": [], **body}))
    assert [(each.lane, each.key, json.loads(each.payload)) for each in found] == [(ROOM, "", RECEIPT)] * kept


def test_receipts_come_behind_events() -> None:
    first, second = taken(dumped({"ephemeral": [RECEIPT], "events": [event()]}))
    assert (first.key, json.loads(second.payload)) == ("$1", RECEIPT)


@pytest.mark.parametrize("written", [b'"$\\ud800"', b'"$\xed\xa0\x80"'], ids=["escaped", "raw"])
def test_ids_that_hold_lone_surrogates_can_be_written_down(written: bytes) -> None:
    own, room = written, written.replace(b"$", b"!")
    (kept,) = taken(b'{"events":[{"event_id":%b,"room_id":%b}]}' % (own, room))
    assert kept.key == "$\\ud800"
    job = event_job(Network("matrix"), [kept], now=0, expires_at=1)
    assert decode_events(job.payload) == [kept]


@pytest.fixture(params=["as it is", "raised"])
def limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Libraries raise the limit on recursion to what no stack bears."""
    before = sys.getrecursionlimit()
    if request.param == "raised":
        sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("levels", [1, 100, 400, 600, 100_000])
@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_an_event_that_is_nested_too_deep_does_not_stop_the_others(opened: bytes, levels: int) -> None:
    closed = opened.replace(b'"a":', b"").translate(bytes.maketrans(b"[{", b"]}"))
    deep = b'{"event_id":"$1","content":%b1%b}' % (opened * levels, closed * levels)
    first, second = taken(b'{"events":[%b,%b]}' % (deep, dumped(event(2))))
    assert (first.key, second.key) == ("$1", "$2")


@pytest.mark.usefixtures("limit")
def test_an_unfinished_body_of_many_levels_is_no_json() -> None:
    with pytest.raises(BadEvent) as refused:
        read_transaction(b'{"events":' + b"[" * 100_000)
    assert refused.value.syntax


def test_echoes_of_our_own_users_are_left_out_but_for_their_coming_and_going() -> None:
    sent = [
        {"type": "m.room.message", "room_id": "!a", "sender": "@dm3_x.eth:h", "event_id": "$1"},
        {"type": "m.room.member", "room_id": "!a", "sender": "@dm3_x.eth:h", "event_id": "$2"},
        {"type": "m.room.message", "room_id": "!a", "sender": "@bob:h", "event_id": "$3"},
        {"type": "m.room.message", "room_id": "!a", "sender": 5, "event_id": "$4"},
    ]
    read = read_transaction(json.dumps({"events": sent}).encode())
    kept = native_events(read, lambda user: user.startswith("@dm3_"))
    assert [event.key for event in kept] == ["$2", "$3", "$4"]
