"""Trace ids: twelve hex digits by which one message is found in the log, and which its sender is told when it fails.

They are made from what the message has anyway, so that nothing more is stored, and every node and every later try
finds the same: from sender, recipient and native id for what comes from a network (`of_native`), from the hash of the
message for what comes as an envelope (`of_envelope`). Whoever has one learns nothing about the message from it.
"""

from __future__ import annotations

import hashlib
from typing import Final, NewType

from structlog.contextvars import bind_contextvars, get_contextvars, unbind_contextvars

from gateway.ids import EnsName, MessageHash, NativeId, Network

TraceId = NewType("TraceId", str)
"""Twelve lower-case hex digits."""

DIGITS: Final = 12
KEY: Final = "trace"
"""Under which it stands in each line of the log."""


def of_native(network: Network, sender: EnsName, recipient: EnsName, native_id: NativeId) -> TraceId:
    """Of a message from a network; ``sender`` is the name that we gave them."""
    return _digest("native", network, sender, recipient, native_id)


def of_envelope(message_hash: MessageHash | str) -> TraceId:
    """Of a message that came as an envelope, and of receipts and notices about it."""
    return _digest("envelope", message_hash.lower())


def of_work(key: str) -> TraceId:
    """Of other work, by what makes it one of its kind."""
    return _digest("work", key)


def bind(trace: TraceId) -> None:
    """Put it on every line that this task writes from now on."""
    bind_contextvars(**{KEY: trace})


def unbind() -> None:
    """What this task writes from now on is not about that message."""
    unbind_contextvars(KEY)


def current() -> TraceId | None:
    """That of what this task does."""
    return get_contextvars().get(KEY)


def is_trace(text: str) -> bool:
    """Whether a text has the form of one."""
    return len(text) == DIGITS and not text.strip("0123456789abcdef")


def _digest(*parts: str) -> TraceId:
    text = "\n".join(("dm3-gateway trace", *parts)).encode("utf-8", "surrogatepass")
    return TraceId(hashlib.sha256(text).hexdigest()[:DIGITS])
