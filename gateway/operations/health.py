"""Is this node alive, and is it ready: two routes for whoever starts and balances it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

PATIENCE_SECONDS: Final = 3.0
FRESH_SECONDS: Final = 5.0
"""For which an answer holds: whoever asks more often costs the store and the chain nothing."""

Check = Callable[[], Awaitable[None]]
"""Returns when a component works, raises when it does not."""


class Health:
    """`/healthz` answers while the process does; `/readyz` asks each component, at most once in five seconds."""

    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = dict(checks)
        self._clock = clock
        self._known: Mapping[str, str] = {}
        self._known_at = -math.inf
        self._asking = asyncio.Lock()

    def router(self) -> APIRouter:
        """Both routes."""
        router = APIRouter(tags=["operations"])
        router.add_api_route("/healthz", self.healthz, methods=["GET"])
        router.add_api_route("/readyz", self.readyz, methods=["GET"])
        return router

    async def healthz(self) -> JSONResponse:
        """200 as long as the event loop turns."""
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> JSONResponse:
        """200 when every component works, else 503; either way each component's state."""
        states = await self._states()
        ready = all(state == "ok" for state in states.values())
        return JSONResponse({"status": "ok" if ready else "not ready", "components": states}, 200 if ready else 503)

    async def _states(self) -> Mapping[str, str]:
        async with self._asking:
            if self._clock() - self._known_at >= FRESH_SECONDS:
                found = await asyncio.gather(*map(self._state, self._checks.values()))
                self._known, self._known_at = dict(zip(self._checks, found, strict=True)), self._clock()
            return self._known

    async def _state(self, check: Check) -> str:
        try:
            await asyncio.wait_for(check(), PATIENCE_SECONDS)
        except TimeoutError:
            return "no answer"
        except Exception as error:
            return type(error).__name__
        return "ok"
