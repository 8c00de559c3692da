"""Whoever is turned away too often is told to wait, and no more to log in.

A messenger whose keys are not those of its published profile repeats log-in and request for as long as it is answered
401, and stops at any other answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from gateway.errors import Unauthorised
from gateway.rates import Rate, asker_of


class TurnedAway:
    """A dependency of routes that need a log-in: counts each 401 like a log-in, and makes it 429 when they are many."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """Around one request; raises LimitExceeded in the place of Unauthorised."""
        try:
            yield
        except Unauthorised:
            self._rate.take(asker_of(request.scope))
            raise
