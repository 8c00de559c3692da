"""Is this node alive, and is it ready: two routes for whoever starts and balances it.

What every request needs makes a node unready: a store that takes writes, keys, a worker that lives. What others run
does not: without the chain or a network a node still answers look-ups, keeps mailboxes and takes messages that wait,
and all nodes miss the same chain at the same time, so that sending traffic away from them would turn a part of the
service that is missing into all of it. Such a component is "degraded" in the answer, and has an alert of its own.
"""

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
OK: Final = "ok"
STOPPING: Final = "stopping"

Check = Callable[[], Awaitable[None]]
"""Returns when a component works, raises when it does not."""


class Health:
    """`/healthz` answers while the process does; `/readyz` asks each component, at most once in five seconds."""

    def __init__(
        self,
        needed: Mapping[str, Check],
        others: Mapping[str, Check] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A node is not ready without ``needed``, and degraded without ``others``."""
        self._needed = frozenset(needed)
        self._checks = {**needed, **(others or {})}
        self._clock = clock
        self._known: Mapping[str, str] = {}
        self._known_at = -math.inf
        self._asking = asyncio.Lock()
        self._stopping = False

    def router(self) -> APIRouter:
        """Both routes."""
        router = APIRouter(tags=["operations"])
        router.add_api_route("/healthz", self.healthz, methods=["GET"])
        router.add_api_route("/readyz", self.readyz, methods=["GET"])
        return router

    def stop(self) -> None:
        """From now on the node is not ready, whatever its components say: balancers send nothing more."""
        self._stopping = True

    async def healthz(self) -> JSONResponse:
        """200 as long as the event loop turns."""
        return JSONResponse({"status": OK})

    async def readyz(self) -> JSONResponse:
        """200 when the node can serve, else 503; either way each component's state."""
        if self._stopping:
            return JSONResponse({"status": STOPPING, "components": {}}, 503)
        states = await self.states()
        away = {component for component, state in states.items() if state != OK}
        if away & self._needed:
            return JSONResponse({"status": "not ready", "components": states}, 503)
        return JSONResponse({"status": "degraded" if away else OK, "components": states})

    async def states(self) -> Mapping[str, str]:
        """``ok``, or what is wrong, by component; at most five seconds old."""
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
        return OK
