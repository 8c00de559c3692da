"""What the operator pages show, made from rows: queues by destination, bars of a day, states in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.store.jobs import JobState
from gateway.store.overview import JobSeen, LaneSeen
from gateway.store.queue import QueueCount
from gateway.store.steering import GIVEN_UP, SET_ASIDE
from gateway.store.traffic import Interval

HEIGHT: Final = 96
"""Of the picture of a day, in its own units."""
KINDS: Final = {
    "inbound": "Message for a person of a network",
    "outbound": "Message of a bridged person for an ENS name",
    "report": "News for a person about a message of theirs",
    "notice": "What the gateway itself has to say",
    "event": "Events of a network",
}
DESTINATIONS: Final = {
    "dm3": "Delivery services",
    "email": "E-mail",
    "matrix": "Matrix",
    "xmpp": "XMPP",
    "notify": "Notifications",
    "webhook": "Webhooks",
    "forward": "Layers for others",
}


@dataclass(frozen=True, slots=True)
class DestinationSeen:
    """What waits for one adapter or relay."""

    destination: str
    waiting: int
    held: int
    oldest_at: int | None
    """When the oldest that is ready was made; None when nothing is."""
    late: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour of traffic; ``height`` of `HEIGHT`."""

    start: int
    messages: int
    height: int


@dataclass(frozen=True, slots=True)
class StateSeen:
    """A state by shape and word: ``kind`` is one of ok, waiting, warning, failed."""

    kind: str
    word: str


def by_destination(counts: Sequence[QueueCount], now: int, late_ms: int) -> list[DestinationSeen]:
    """One row for each, the one with the oldest first."""
    rows = []
    for destination in dict.fromkeys(each.destination for each in counts):
        ready, held = (_count(counts, destination, state) for state in (JobState.READY, JobState.HOLD))
        oldest = None if ready is None else ready.oldest_at
        rows.append(
            DestinationSeen(
                destination,
                0 if ready is None else ready.jobs,
                0 if held is None else held.jobs,
                oldest,
                oldest is not None and now - oldest > late_ms,
            )
        )
    return sorted(rows, key=lambda each: (each.oldest_at is None, each.oldest_at, each.destination))


def bars(hours: Sequence[Interval]) -> list[Bar]:
    """Heights that make the busiest hour as high as there is room; an hour with anything can be seen."""
    most = max((each.messages for each in hours), default=0) or 1
    return [
        Bar(each.start, each.messages, max(2, each.messages * HEIGHT // most) if each.messages else 0) for each in hours
    ]


def lane_state(lane: LaneSeen, now: int) -> StateSeen:
    """How it stands with a lane."""
    if lane.due is None:
        return StateSeen("warning", "On hold")
    if lane.lease_until > now:
        return StateSeen("waiting", "Being tried")
    if lane.attempts:
        return StateSeen("failed", "Failing")
    return StateSeen("waiting", "Waiting")


def job_state(job: JobSeen, now: int) -> StateSeen:
    """How it stands with a job."""
    if job.state is JobState.HOLD:
        return StateSeen("warning", "Held by you" if job.reason.startswith(SET_ASIDE) else "On hold")
    if job.reason == GIVEN_UP:
        return StateSeen("waiting", "Being dropped")
    if job.attempts:
        return StateSeen("failed", "Failing")
    return StateSeen("waiting", "Waiting")


def kind_of(kind: str) -> str:
    """What a job is, in words."""
    return KINDS.get(kind, kind.replace("_", " ").capitalize())


def destination_name(destination: str) -> str:
    """What stands at the other end of a lane, in words."""
    return DESTINATIONS.get(destination, destination.replace("-", " ").capitalize())


def group_name(group: str) -> str:
    """A group of the doctor's checks."""
    return {"tls": "TLS"}.get(group) or destination_name(group)


def _count(counts: Sequence[QueueCount], destination: str, state: JobState) -> QueueCount | None:
    return next((each for each in counts if (each.destination, each.state) == (destination, state)), None)


def size(count: int) -> str:
    """Bytes as people say them: ``812 B``, ``3.4 kB``, ``12 MB``."""
    if count < 1_000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        count, rest = divmod(count, 1_000)
        if count < 10:
            return f"{count}.{rest // 100} {unit}"
        if count < 1_000 or unit == "GB":
            break
    return f"{count:,} {unit}"
