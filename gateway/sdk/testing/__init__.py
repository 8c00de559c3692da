"""The conformance kit: what every adapter's tests run.

`context` is a gateway in memory that keeps every promise of `AdapterContext`; `conformance` holds the checks.
"""

from __future__ import annotations

from gateway.sdk.testing.conformance import Peer, check_conformance
from gateway.sdk.testing.context import MemoryContext
from gateway.sdk.testing.people import MemoryPeople

__all__ = ["MemoryContext", "MemoryPeople", "Peer", "check_conformance"]
