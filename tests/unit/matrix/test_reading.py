"""Events of strangers: every field missing or of the wrong type is a named fault, never another exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.matrix.content import read_message, read_poll, read_reaction, read_sticker
from adapters.matrix.errors import BadEvent, Unfit
from adapters.matrix.reading import parse_json, parse_receipts, parse_room_event

EVENT: dict[str, Any] = {
    "type": "m.room.message",
    "room_id": "!abc",
    "sender": "@bob:example.org",
    "event_id": "$xyz",
    "origin_server_ts": 1_700_000_000_000,
    "content": {"msgtype": "m.text", "body": "hello"},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_whole_event_is_read() -> None:
    event = parse_room_event(EVENT)
    assert (event.room, event.sender, event.id, event.at) == ("!abc", "@bob:example.org", "$xyz", 1_700_000_000_000)
    assert event.state_key is None


@pytest.mark.parametrize("field", ["type", "room_id", "sender", "event_id", "content"])
@pytest.mark.parametrize("value", [None, 7, True, [], "", "x" * 300, "@:", "!", {"a": []}, "absent"])
def test_what_every_event_has_is_demanded(field: str, value: object) -> None:
    raw = {key: each for key, each in EVENT.items() if key != field}
    if value != "absent":
        raw[field] = value
    if (field, value) in (("content", {"a": []}), ("type", "@:"), ("type", "!")):
        assert parse_room_event(raw).id == "$xyz"
        return
    with pytest.raises(BadEvent, match=field):
        parse_room_event(raw)


def test_a_redaction_names_its_event_in_old_and_in_new_rooms() -> None:
    assert parse_room_event({**EVENT, "redacts": "$old"}).redacts == "$old"
    assert parse_room_event({**EVENT, "content": {"redacts": "$new"}}).redacts == "$new"


def test_room_ids_of_version_12_have_no_server() -> None:
    assert parse_room_event({**EVENT, "room_id": "!" + "A" * 43}).room == "!" + "A" * 43


@given(st.dictionaries(st.sampled_from([*EVENT, "state_key", "redacts", "unsigned"]), json_values))
@settings(max_examples=200)
def test_any_event_is_read_or_a_named_fault(changes: dict[str, Any]) -> None:
    try:
        parse_room_event({**EVENT, **changes})
    except BadEvent as error:
        assert str(error)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "msgtype",
                "body",
                "format",
                "formatted_body",
                "url",
                "file",
                "info",
                "filename",
                "geo_uri",
                "m.relates_to",
                "m.new_content",
            ]
        ),
        json_values,
    )
)
@settings(max_examples=300)
def test_any_content_is_read_or_a_named_fault(content: dict[str, Any]) -> None:
    for read in (read_message, read_sticker, read_poll, read_reaction):
        try:
            read(content)
        except (BadEvent, Unfit) as error:
            assert str(error)


@given(json_values)
@settings(max_examples=100)
def test_any_receipts_are_read_or_a_named_fault(raw: Any) -> None:
    for each in (raw, {"room_id": "!abc", "content": raw}, {"room_id": "!abc", "content": {"$a": raw}}):
        try:
            parse_receipts(each)
        except BadEvent as error:
            assert str(error)


def test_receipts_name_who_has_seen_what() -> None:
    raw = {
        "room_id": "!abc",
        "content": {
            "$one": {"m.read": {"@bob:example.org": {"ts": 5}, "nobody": {"ts": 6}}},
            "$two": {"m.read.private": {"@bob:example.org": {"ts": 7}}},
        },
    }
    room, receipts = parse_receipts(raw)
    assert room == "!abc"
    assert [(each.event, each.user, each.at) for each in receipts] == [("$one", "@bob:example.org", 5)]


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_named_fault(payload: bytes) -> None:
    with pytest.raises(BadEvent):
        parse_json(payload)


def test_a_lone_surrogate_is_replaced() -> None:
    content = json.loads('{"msgtype": "m.text", "body": "a\\ud800b"}')
    assert read_message(content).text == "a?b"


@pytest.mark.parametrize("key", ["room_id", "event_id", "sender"])
def test_an_id_that_cannot_be_written_down_is_none(key: str) -> None:
    """Half a character in it; the event is set aside instead of failing wherever its id goes."""
    raw: dict[str, Any] = {"type": "m.room.message", "room_id": "!a", "event_id": "$a", "sender": "@a:b", "content": {}}
    assert parse_room_event(raw).room == "!a"
    with pytest.raises(BadEvent, match=key):
        parse_room_event({**raw, key: raw[key][:1] + "\ud800:b"})
    answers = read_message(
        {"msgtype": "m.text", "body": "a", "m.relates_to": {"m.in_reply_to": {"event_id": "$\ud800"}}}
    )
    assert answers.answers is None
