"""Taking layers for others (dm3_forward, privacy routing): open, check, and one job in one commit before the answer.

gateway/relay/README.md describes layers and method. What a layer says is neither logged nor repeated in an error.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layers import Layer, LayerMethod, open_layer
from gateway.ens.names import require_normal
from gateway.errors import InvalidInput, InvalidName, LimitExceeded
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.store import Store
from gateway.store.jobs import Enqueue, NewJob, lane_key
from gateway.store.once import Once, OnceUsed
from gateway.store.queue import QueueSize

log = structlog.get_logger(__name__)

FORWARD: Final = "forward"
"""Kind of the jobs, destination of their lanes, and scope of the layers' ids."""
ID_MARGIN_MS: Final = 3600 * 1000
"""An id is remembered for this much longer than its layer is valid: the clocks of nodes differ, and may be set."""
COUNT_SECONDS: Final = 1.0
"""What waits is counted at most this often."""


@dataclass(frozen=True, slots=True)
class ForwardPolicy:
    """What this relay forwards for others."""

    size_limit: int
    """Bytes of the largest layer."""
    max_delay_ms: int
    """The longest wait that a layer may ask for; a longer wish counts as this."""
    max_waiting: int
    """Layers that may wait, all together."""
    max_waiting_bytes: int


@dataclass(frozen=True, slots=True)
class ForwardJob:
    """A layer without its shell."""

    next: EnsName
    method: LayerMethod
    payload: str = field(repr=False)


_JOB: Final = TypeAdapter(ForwardJob)


def encode_forward(work: ForwardJob) -> bytes:
    """Payload of a FORWARD job."""
    return _JOB.dump_json(work)


def decode_forward(payload: bytes) -> ForwardJob:
    """Read a payload; InvalidInput when it was not written by `encode_forward`."""
    try:
        return _JOB.validate_json(payload)
    except ValidationError as error:
        raise InvalidInput(f"forward job with {error.error_count()} faults") from None


class Backlog:
    """How much waits to be forwarded, as counted a moment ago, and what was let in since.

    Nodes that let in at the same moment can pass the bound by what each has under way.
    """

    def __init__(self, store: Store, policy: ForwardPolicy, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._policy = policy
        self._monotonic = monotonic
        self._count_at = float("-inf")
        self._counted = _Waiting()
        self._since = _Waiting()

    async def admit(self, size: int) -> None:
        """Raise LimitExceeded when there is no room for one more of `size` bytes."""
        if self._monotonic() >= self._count_at:
            await self._count()
        waiting = self._counted + self._since
        if waiting.layers >= self._policy.max_waiting or waiting.bytes + size > self._policy.max_waiting_bytes:
            raise LimitExceeded("too many layers wait to be forwarded")
        self._since += _Waiting(1, size)

    async def _count(self) -> None:
        before = self._since
        # Whoever comes meanwhile relies on the figures as they are.
        self._count_at = float("inf")
        try:
            self._counted = _Waiting(*await self._store.read(QueueSize(FORWARD)))
            # What was let in while we counted may not be on disk yet.
            self._since -= before
        finally:
            self._count_at = self._monotonic() + COUNT_SECONDS


@dataclass(frozen=True, slots=True)
class _Waiting:
    """So many layers with so many bytes."""

    layers: int = 0
    bytes: int = 0

    def __add__(self, other: _Waiting) -> _Waiting:
        return _Waiting(self.layers + other.layers, self.bytes + other.bytes)

    def __sub__(self, other: _Waiting) -> _Waiting:
        return _Waiting(self.layers - other.layers, self.bytes - other.bytes)


class Forwarding:
    """Takes layers for other delivery services. `draw(n)` gives a random whole number from 0 to n - 1."""

    def __init__(
        self,
        *,
        policy: ForwardPolicy,
        keys: ServiceKeys,
        store: Store,
        clock: Clock,
        offload: Offload,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._store = store
        self._clock = clock
        self._offload = offload
        self._draw = draw
        self._backlog = Backlog(store, policy)

    async def accept(self, text: str) -> None:
        """Take one layer; returns after the commit. A layer taken before is answered the same and not sent again.

        Raises TooLarge, DecryptionFailed, InvalidInput, LimitExceeded when too much waits, and Unavailable.
        """
        layer, payload = await self._offload.run(len(text), self._open, text)
        now, key = self._clock(), layer.id.hex()
        layer.require_valid(now)
        try:
            await self._backlog.admit(len(payload))
        except LimitExceeded:
            if not await self._store.read(OnceUsed(FORWARD, key)):
                raise
        job = NewJob(
            lane=lane_key(FORWARD, key),
            kind=FORWARD,
            payload=payload,
            created_at=now,
            expires_at=layer.valid_until,
            due_at=now + self._delay_ms(layer, now),
        )
        taken = await self._store.commit(Once(FORWARD, key, layer.valid_until + ID_MARGIN_MS, (Enqueue(job),)))
        log.info("layer.accepted" if taken is not None else "layer.repeated", size=len(text))

    def _open(self, text: str) -> tuple[Layer, bytes]:
        layer = open_layer(text, self._keys, max_bytes=self._policy.size_limit)
        try:
            following = require_normal(layer.next)
        except InvalidName:
            # Its detail repeats the name.
            raise InvalidInput("the next hop is no ENS name in normal form") from None
        return layer, encode_forward(ForwardJob(following, layer.method, layer.payload))

    def _delay_ms(self, layer: Layer, now: int) -> int:
        """A random wait; never so long that no time is left to find the next relay, should it be away."""
        longest = min(layer.max_delay_ms or 0, self._policy.max_delay_ms, (layer.valid_until - now) // 2)
        return self._draw(longest + 1)
