"""Reading events of strangers: tolerant of what is not needed, typed where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.matrix.depth import loads
from adapters.matrix.errors import BadEvent
from adapters.matrix.ids import EventId, Mxid, RoomId, event_id, mxid, room_id

MAX_TYPE: Final = 255
RECEIPTS: Final = "m.receipt"
"""Ephemeral events that we keep; typing and presence have no counterpart in DM3."""


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """An event of a room's timeline (Client-Server API, "Room event format")."""

    type: str
    room: RoomId
    sender: Mxid
    id: EventId
    at: int
    """Milliseconds since the epoch, by the sender's homeserver; 0 when it does not say."""
    content: Mapping[str, Any] = field(repr=False)
    state_key: str | None = None
    """None exactly for what is no state: it is this key, not the type, that makes the difference."""
    redacts: EventId | None = None


def parse_json(payload: bytes) -> Any:
    """A stored event as JSON; raises BadEvent."""
    try:
        return loads(payload)
    except ValueError as error:
        raise BadEvent(f"not JSON: {type(error).__name__}") from None


def parse_room_event(raw: object) -> RoomEvent:
    """Raises BadEvent, with the field, for an event without what every event of a room has."""
    if not isinstance(raw, Mapping):
        raise BadEvent("the event is no object")
    kind, content = raw.get("type"), raw.get("content")
    room, sender, own = room_id(raw.get("room_id")), mxid(raw.get("sender")), event_id(raw.get("event_id"))
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE:
        raise BadEvent("type")
    for name, value in (("room_id", room), ("sender", sender), ("event_id", own)):
        if value is None:
            raise BadEvent(name)
    if not isinstance(content, Mapping):
        raise BadEvent("content")
    state_key = raw.get("state_key")
    if state_key is not None and not isinstance(state_key, str):
        raise BadEvent("state_key")
    assert room is not None
    assert sender is not None
    assert own is not None
    return RoomEvent(
        type=kind,
        room=room,
        sender=sender,
        id=own,
        at=whole(raw.get("origin_server_ts")),
        content=content,
        state_key=state_key,
        # Since room version 11 it stands in the content.
        redacts=event_id(content.get("redacts")) or event_id(raw.get("redacts")),
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """Somebody has seen an event, and so whatever came before it."""

    event: EventId
    user: Mxid
    at: int
    """Milliseconds since the epoch."""


def parse_receipts(raw: object) -> tuple[RoomId, tuple[Receipt, ...]]:
    """The public read receipts of one ephemeral event; private ones never reach us. Raises BadEvent."""
    if not isinstance(raw, Mapping):
        raise BadEvent("the event is no object")
    room, content = room_id(raw.get("room_id")), raw.get("content")
    if room is None:
        raise BadEvent("room_id")
    if not isinstance(content, Mapping):
        raise BadEvent("content")
    found = []
    for about, by_type in content.items():
        own, readers = event_id(about), by_type.get("m.read") if isinstance(by_type, Mapping) else None
        if own is None or not isinstance(readers, Mapping):
            continue
        for who, data in readers.items():
            user = mxid(who)
            if user is not None:
                found.append(Receipt(own, user, whole(data.get("ts")) if isinstance(data, Mapping) else 0))
    return room, tuple(found)


def text(content: Mapping[str, Any], key: str) -> str:
    """A text of an event, "" when it is something else or not there; lone surrogates are replaced."""
    value = content.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def part(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object inside an event, empty when it is something else or not there."""
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def whole(value: object) -> int:
    """A number that a JSON integer can be, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
