"""Is this node alive, and is it ready: two routes for whoever starts and balances it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

PATIENCE_SECONDS: Final = 3.0

Check = Callable[[], Awaitable[None]]
"""Returns when a component works, raises when it does not."""


class Health:
    """`/healthz` answers while the process does; `/readyz` asks each component."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

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
        states = dict(zip(self._checks, await asyncio.gather(*map(self._state, self._checks.values())), strict=True))
        ready = all(state == "ok" for state in states.values())
        return JSONResponse({"status": "ok" if ready else "not ready", "components": states}, 200 if ready else 503)

    async def _state(self, check: Check) -> str:
        try:
            await asyncio.wait_for(check(), PATIENCE_SECONDS)
        except TimeoutError:
            return "no answer"
        except Exception as error:
            return type(error).__name__
        return "ok"
