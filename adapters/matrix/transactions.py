"""Transactions: what the homeserver pushes, taken apart into events that are kept one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from adapters.matrix.depth import bounded
from adapters.matrix.errors import BadEvent
from adapters.matrix.ids import room_id
from adapters.matrix.reading import RECEIPTS
from gateway.sdk import NativeEvent

UNSTABLE: Final = "de.sorunome.msc2409."
MAX_BODY: Final = 32 * 2**20
"""Bytes. Synapse sends up to 100 events of 64 KiB, 100 ephemeral ones and 100 to devices; one that we refuse would be
sent for ever, and nothing behind it."""
SAFE_DEPTH: Final = 500
"""Levels that a parser bears under every limit on recursion. A body with fewer brackets cannot have more of them, which
is found out in a tenth of the time that it takes to look closely. Handlers do so when they read one event."""
DEVICES: Final = "devices"
"""Lane of messages to devices."""
STRAY: Final = "stray"
"""Lane of what names no room."""
_EVENTS: Final = "events"
_EPHEMERAL: Final = ("ephemeral", UNSTABLE + "ephemeral")
"""The stable and the unstable name; Synapse may send both, with the same in them."""
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_NEXT: Final = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*")
_decoder: Final = json.JSONDecoder()


class Pushed(NamedTuple):
    """One element of a list of a transaction: as it was read, and as it was written."""

    raw: Any
    payload: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a homeserver pushes at once, in its order."""

    events: Sequence[Pushed]
    ephemeral: Sequence[Pushed]


def read_transaction(body: bytes) -> Transaction:
    """The body of a transaction; raises BadEvent when it is no JSON object with a list of events."""
    try:
        shallow = body.count(b"[") + body.count(b"{") <= SAFE_DEPTH
        lists = _Reader(body if shallow else bounded(body)).lists()
    except (ValueError, RecursionError):
        raise BadEvent("the body is not JSON", syntax=True) from None
    events = lists.get(_EVENTS)
    if events is None:
        raise BadEvent("events is no list")
    return Transaction(events, next((found for name in _EPHEMERAL if (found := lists.get(name)) is not None), ()))


def native_events(transaction: Transaction, is_ours: Callable[[str], bool] = lambda _user: False) -> list[NativeEvent]:
    """All that is to be kept, in order; what cannot be read is kept too, so that its handler can set it aside.

    What users of ours did is an echo, but for who comes and goes: every message and every status of theirs comes back.
    A repeat is recognised by the event's own id: a homeserver may send old events again under a new transaction id.
    """
    kept = [
        NativeEvent(_lane(each.raw), _key(each.raw), each.payload)
        for each in transaction.events
        if not _is_echo(each.raw, is_ours)
    ]
    for each in transaction.ephemeral:
        if isinstance(each.raw, dict) and each.raw.get("type") == RECEIPTS:
            kept.append(NativeEvent(_lane(each.raw), "", each.payload))
    return kept


def _is_echo(raw: object, is_ours: Callable[[str], bool]) -> bool:
    if not isinstance(raw, dict) or raw.get("type") == "m.room.member":
        return False
    sender = raw.get("sender")
    return isinstance(sender, str) and is_ours(sender)


def _key(raw: object) -> str:
    own = raw.get("event_id") if isinstance(raw, dict) else None
    return _whole(own) if isinstance(own, str) else ""


def _lane(raw: object) -> str:
    room = room_id(raw.get("room_id")) if isinstance(raw, dict) else None
    return STRAY if room is None else _whole(room)


def _whole(text: str) -> str:
    """An id that can be written down: another server may have put lone surrogates into it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class _Reader:
    """Reads an object as ``json`` does, and tells of the lists in it where each of their elements stands.

    An event is kept as it came: to write it anew would take longer than to read it. Malformed text raises ValueError
    or RecursionError.
    """

    def __init__(self, body: bytes) -> None:
        # Lone surrogates may stand in it as they are, and are kept so.
        self._text = body.decode("utf-8", "surrogatepass")
        self._at = 0

    def lists(self) -> dict[str, list[Pushed] | None]:
        """Its members, None for one that is no list; of several with one name the last. BadEvent for no object."""
        members: dict[str, list[Pushed] | None] = {}
        self._skip_blanks()
        if not self._took("{"):
            self._value()
            self._end()
            raise BadEvent("the body is no JSON object")
        more = not self._took("}")
        while more:
            name = self._value()
            if not isinstance(name, str) or not self._took(":"):
                raise ValueError("no member")
            members[name] = self._member()
            more = self._took(",")
            if not more and not self._took("}"):
                raise ValueError("neither a comma nor an end")
        self._end()
        return members

    def _member(self) -> list[Pushed] | None:
        if not self._took("["):
            self._value()
            return None
        text, at, elements = self._text, self._at, list[Pushed]()
        if self._took("]"):
            return elements
        more = True
        while more:
            raw, end = _decoder.raw_decode(text, at)
            elements.append(Pushed(raw, text[at:end].encode("utf-8", "surrogatepass")))
            mark = _NEXT.match(text, end)
            if mark is None:
                raise ValueError("neither a comma nor an end")
            at, more = mark.end(), mark[1] == ","
        self._at = at
        return elements

    def _value(self) -> Any:
        value, self._at = _decoder.raw_decode(self._text, self._at)
        self._skip_blanks()
        return value

    def _took(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._skip_blanks()
        return True

    def _skip_blanks(self) -> None:
        found = _BLANKS.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _end(self) -> None:
        if self._at != len(self._text):
            raise ValueError("more behind the end")
