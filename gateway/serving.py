"""`dm3-gateway serve`: one node from its start to its end, whatever happens in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from gateway.app import Gateway
from gateway.ids import Network
from gateway.lifecycle import SteadyClock, settle
from gateway.sdk.adapter import Adapter
from gateway.settings import Settings
from gateway.web.server import HttpServer, listen

log = structlog.get_logger(__name__)


async def serve_until(
    settings: Settings, adapters: Mapping[Network, Adapter], stop: asyncio.Event, config: Path | None = None
) -> None:
    """Run one node until `stop` is set, then finish what was begun. A stop during the start ends the start.

    `config` is the file that the settings are from, for the doctor of the operator pages.
    """
    with listen(settings.server.host, settings.server.port) as bound:
        async with AsyncExitStack() as closing:
            await _unless(stop, _serve(settings, adapters, bound, closing, config))
            await stop.wait()
            log.info("gateway.stopping", drain_seconds=settings.server.drain_seconds)
    log.info("gateway.stopped")


async def _serve(
    settings: Settings,
    adapters: Mapping[Network, Adapter],
    bound: socket.socket,
    closing: AsyncExitStack,
    config: Path | None,
) -> None:
    gateway = await Gateway.open(settings, adapters, clock=SteadyClock())
    closing.push_async_callback(gateway.close)
    await gateway.start()
    if settings.admin.enabled:
        await _serve_operators(gateway, closing, config)
    server = HttpServer(gateway.app, bound, trusted_proxies=settings.server.trusted_proxies)
    closing.push_async_callback(server.stop)
    closing.push_async_callback(gateway.hang_up)
    await server.start()
    closing.push_async_callback(_drain, gateway, server, settings.server.drain_seconds)
    log.info("gateway.serving", host=server.host, port=server.port, own_name=gateway.service_name)
    await gateway.loaded()
    settle()


async def _serve_operators(gateway: Gateway, closing: AsyncExitStack, config: Path | None) -> None:
    """Their pages have a listener of their own: no mistake in a proxy's rules shows them to the world."""
    settings = gateway.settings
    bound = closing.enter_context(listen(settings.admin.host, settings.admin.port))
    pages = await asyncio.to_thread(gateway.operator_pages, config)
    server = HttpServer(pages, bound, trusted_proxies=settings.server.trusted_proxies)
    closing.push_async_callback(server.stop)
    await server.start()
    log.info("gateway.operator_pages", host=server.host, port=server.port)


async def _drain(gateway: Gateway, server: HttpServer, seconds: float) -> None:
    """Say that the node is not ready while it still serves: balancers stop sending before the listener closes."""
    gateway.stand_down()
    server.part()
    await asyncio.sleep(seconds)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work`, which is cancelled when `stop` comes first; raises what it raises."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait((task, stopping))
    if not task.cancelled():
        task.result()
