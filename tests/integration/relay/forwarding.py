"""Relays that forward, for the tests: a house that does, services that get what it sends on, a clock to be moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.demo.chain.running import RunningChain
from gateway.dm3.layers import Hop, Layer, LayerMethod, seal_layer, wrap
from gateway.lifecycle import now_ms
from gateway.relay.forward import FORWARD
from gateway.store.jobs import Job, JobState
from gateway.store.queue import QueueList
from tests.integration.bridge.scripted import ScriptedService
from tests.support.house import House, running_house
from tests.support.layers import envelope_text, plain_layer

ALLOWED = {"DM3_GATEWAY__RELAY__FORWARD": "true"}
DAY = 24 * 3600 * 1000
FORWARDS = {"sizeLimit": 1_000_000, "forward": {"version": 1, "maxHops": 5, "maxDelay": 0}}


class Hands:
    """A clock (ms) that a test moves."""

    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        return self.now


@dataclass
class ForwardingService(ScriptedService):
    """A scripted delivery service that also says which methods were called; it offers to forward."""

    properties: dict[str, Any] = field(default_factory=lambda: dict(FORWARDS))
    methods: list[str] = field(default_factory=list)

    @property
    def times_asked(self) -> int:
        """How often its properties were asked for."""
        return sum(method == "dm3_getDeliveryServiceProperties" for method, _ in self.asked)

    async def handle(self, request: Request) -> Response:
        method = (await request.json())["method"]
        if method != "dm3_getDeliveryServiceProperties":
            self.methods.append(method)
        return await super().handle(request)


@asynccontextmanager
async def forwarding_house(
    folder: Path, *, chain: RunningChain | None = None, overrides: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[House]:
    """A gateway that forwards for others; its worker stands still unless `working` says otherwise."""
    settings = {**ALLOWED, **(overrides or {})}
    async with running_house(folder, chain=chain, overrides=settings, **{"working": False, **options}) as running:
        yield running


def hop_of(house: House) -> Hop:
    """The house as one hop of a chain."""
    return Hop(house.gateway.service_name, house.gateway.service_profile.public_encryption_key)


def layer_for(house: House, *, to: str = "ds.far.eth", now: int | None = None, **options: Any) -> str:
    """An envelope for `to` in one layer for the house."""
    text = options.pop("envelope", None) or envelope_text()
    return wrap(text, [hop_of(house)], destination=to, now=now_ms() if now is None else now, **options)


def odd_layer(house: House, size_class: int = 0, **changed: Any) -> str:
    """A layer for the house with fields that a sender who keeps to the rules would not write."""
    values: dict[str, Any] = {"payload": envelope_text(), "valid_until": now_ms() + DAY, **changed}
    return seal_layer(_layer(values), hop_of(house).encryption_key, size_class)


def _layer(values: dict[str, Any]) -> Layer:
    payload, method = values.pop("payload"), values.pop("method", LayerMethod.SUBMIT)
    return plain_layer(payload, method, **values)


async def forward_jobs(house: House) -> list[Job]:
    """Forwarding jobs of any state, oldest first."""
    found = [await house.gateway.store.read(QueueList(state, 1000)) for state in JobState]
    return sorted((job for jobs in found for job in jobs if job.kind == FORWARD), key=lambda job: job.id)
