"""What a homeserver tells one user, collected by a task and waited for (client-server API, section 6.4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

import httpx2

from gateway.demo.matrix_http import CLIENT, Json, MatrixFault, MatrixHttp

POLL_SECONDS: Final = 30
RETRY_SECONDS: Final = 0.1
LAST_SHOWN: Final = 8
FILTER: Final = json.dumps({"room": {"timeline": {"limit": 1000}}})

T = TypeVar("T")


class Invite(NamedTuple):
    """An invitation into a room."""

    room_id: str
    inviter: str
    state: list[Json]
    """Stripped state events, the user's own membership among them."""

    @property
    def is_direct(self) -> bool:
        """True when the inviter says that this is a conversation of two."""
        return any(
            event["type"] == "m.room.member" and event["content"].get("is_direct") is True for event in self.state
        )


class Feed(Generic[T]):
    """A list that only grows, and whose items can be waited for."""

    def __init__(self, name: str) -> None:
        self.items: list[T] = []
        self._name = name
        self._news = asyncio.Event()
        self._broken: BaseException | None = None

    def add(self, item: T) -> None:
        """Append and wake who waits."""
        self.items.append(item)
        self._wake()

    def fail(self, reason: BaseException) -> None:
        """Nothing more will come: who waits, now or later, gets this error."""
        self._broken = reason
        self._wake()

    async def first(self, wanted: Callable[[T], object], seconds: float) -> T:
        """The first item, of before or to come, for which `wanted` is true.

        A `wanted` that trips over an item of another shape (KeyError, TypeError, ...) does not want it. Raises
        TimeoutError, which tells the last items, or what ended the feed.
        """
        at = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    while at < len(self.items):
                        if _wants(wanted, self.items[at]):
                            return self.items[at]
                        at += 1
                    if self._broken is not None:
                        raise self._broken
                    await self._news.wait()
        except TimeoutError:
            last = "".join(f"\n  {str(item)[:300]}" for item in self.items[-LAST_SHOWN:])
            raise TimeoutError(f"not among {len(self.items)} {self._name} after {seconds} s; the last:{last}") from None

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _wants(wanted: Callable[[T], object], item: T) -> bool:
    try:
        return bool(wanted(item))
    except (LookupError, TypeError, AttributeError):
        return False


class SyncLoop:
    """Polls until it is closed. Goes on through restarts of the homeserver; ends when the user is thrown out."""

    def __init__(self, http: MatrixHttp) -> None:
        self._http = http
        self._since = ""
        self._task: asyncio.Task[None] | None = None
        self.events: Feed[Json] = Feed("events")
        """Timeline events of all rooms in the order of arrival, each with its room_id; also of rooms that were left."""
        self.invites: Feed[Invite] = Feed("invites")
        self.passing: Feed[Json] = Feed("ephemeral events")
        """m.receipt and m.typing with their room_id, and m.presence."""

    def start(self) -> None:
        """Begin, in a task of its own."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="matrix-sync")

    async def close(self) -> None:
        """End it; waiting fails from now on for what has not come."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(RuntimeError("this user no longer listens"))

    async def _run(self) -> None:
        while True:
            try:
                self._take(await self._poll())
            except httpx2.TransportError:
                await asyncio.sleep(RETRY_SECONDS)
            except MatrixFault as fault:
                if fault.status < 500 and fault.status != 429:
                    self._fail(fault)
                    return
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                self._fail(error)
                return

    def _fail(self, reason: BaseException) -> None:
        for feed in (self.events, self.invites, self.passing):
            feed.fail(reason)

    async def _poll(self) -> Json:
        query = {"filter": FILTER}
        if self._since:
            query |= {"since": self._since, "timeout": str(POLL_SECONDS * 1000)}
        answer: Json = await self._http.call("GET", f"{CLIENT}/sync", query=query, seconds=POLL_SECONDS + 30)
        return answer

    def _take(self, answer: Json) -> None:
        rooms = answer.get("rooms", {})
        for room_id, invited in rooms.get("invite", {}).items():
            self.invites.add(_invite(room_id, invited["invite_state"]["events"]))
        for room_id, room in [*rooms.get("join", {}).items(), *rooms.get("leave", {}).items()]:
            for event in _events(room, "timeline"):
                self.events.add({**event, "room_id": room_id})
            for event in _events(room, "ephemeral"):
                self.passing.add({**event, "room_id": room_id})
        for event in _events(answer, "presence"):
            self.passing.add(event)
        self._since = answer["next_batch"]


def _events(part: Json, name: str) -> list[Any]:
    events: list[Any] = part.get(name, {}).get("events", [])
    return events


def _invite(room_id: str, state: list[Json]) -> Invite:
    own = [event for event in state if event["type"] == "m.room.member" and event["content"]["membership"] == "invite"]
    return Invite(room_id, own[-1]["sender"], state)
