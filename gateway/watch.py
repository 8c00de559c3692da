"""What a node counts and times while it works, beside the code that does it: plain numbers, read when somebody asks.

Labels come from short lists of ours (networks, kinds of jobs, names of errors): nothing that a stranger chooses, and
nobody's name. Counting is one look into a table, so that it costs a message nothing that could be measured.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from gateway import traces
from gateway.traces import TraceId


class Counted(StrEnum):
    """What is counted; in brackets the labels."""

    # That of Enum is written in Python, and takes longer than all the rest of counting.
    __hash__ = str.__hash__

    ACCEPTED = "accepted"
    """Messages that are on disk (door: ``relay`` or the network)."""
    REFUSED = "refused"
    """Messages that were not taken (door, name of the error)."""
    REPEATED = "repeated"
    """Messages and events that had been taken before (door)."""
    DELIVERED = "delivered"
    """Jobs that brought a message where it belongs (destination, kind)."""
    GIVEN_UP = "given_up"
    """Jobs whose time was over before (destination, kind)."""
    RETRIED = "retried"
    """Tries that failed and come again (destination, kind)."""
    HELD = "held"
    """Jobs that were set aside for the operator (destination, kind)."""
    LANE_LOST = "lane_lost"
    """Lanes whose lease was lost while they were worked on."""
    LOOKED_UP = "looked_up"
    """Questions by CCIP-read (door, HTTP status)."""
    SIGNER_FAILED = "signer_failed"
    """Answers that could not be signed."""
    DISAGREED = "disagreed"
    """Questions on which the RPC servers did not agree."""


class Timed(StrEnum):
    """What is timed or measured; in brackets the labels."""

    __hash__ = str.__hash__

    DELIVERY = "delivery"
    """Seconds from acceptance until a message was where it belongs (destination, kind)."""
    SIGNING = "signing"
    """Seconds for one signature of the resolver."""
    BATCH = "batch"
    """Units that were committed in one transaction."""


BOUNDS: Final[Mapping[Timed, tuple[float, ...]]] = MappingProxyType(
    {
        Timed.DELIVERY: (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 21600, 86400),
        Timed.SIGNING: (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5),
        Timed.BATCH: (1, 2, 4, 8, 16, 32, 64, 128, 256),
    }
)
"""Upper bounds of the buckets."""

Labels = tuple[str, ...]


class Spread:
    """How often something took how long: a count for each bucket, the last one for all above the bounds."""

    __slots__ = ("_bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.buckets[bisect_left(self._bounds, value)] += 1
        self.total += value


class Spans(Protocol):
    """Takes what was done, for a collector of traces."""

    def ended(self, name: str, trace: TraceId | None, started_ns: int, attributes: Mapping[str, str]) -> None:
        """Something that began at ``started_ns`` (since the epoch) is over. Returns at once, and never raises."""


class Watch:
    """One for each node. Without ``spans`` only numbers are kept."""

    def __init__(self) -> None:
        self.counts: dict[tuple[Counted, Labels], int] = {}
        self.spreads: dict[tuple[Timed, Labels], Spread] = {}
        self.spans: Spans | None = None

    def count(self, what: Counted, *labels: str) -> None:
        """One more."""
        key = (what, labels)
        self.counts[key] = self.counts.get(key, 0) + 1

    def measure(self, what: Timed, value: float, *labels: str) -> None:
        """One that took so many seconds, or had that size."""
        spread = self.spreads.get((what, labels))
        if spread is None:
            spread = self.spreads[what, labels] = Spread(BOUNDS[what])
        spread.add(value)

    def begin(self) -> int:
        """For `end`: when something begins, 0 when nobody wants to know."""
        return time.time_ns() if self.spans is not None else 0

    def end(self, name: str, begun: int, *, trace: TraceId | str | None = None, **attributes: str) -> None:
        """It is over, and was about this message, or else the one whose trace this task has."""
        if self.spans is not None and begun:
            self.spans.ended(name, TraceId(trace) if trace else traces.current(), begun, attributes)
