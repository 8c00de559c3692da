"""What the HTTP side passes on, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.ids import EthAddress


@dataclass(frozen=True, slots=True)
class Answer:
    """Data for a contract's callback. ``ttl``: seconds for which it will be believed, 0 when nobody may keep it."""

    data: bytes
    ttl: int


class Answers(Protocol):
    """Makes answers to look-ups."""

    async def answer(self, sender: EthAddress, calldata: bytes, *, followed: bool = False) -> Answer:
        """The answer for the contract ``sender``; raises GatewayError.

        ``followed``: another gateway asks because it was asked itself.
        """
        ...
