"""A local chain being served: started, and ended, as an asynchronous context."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from gateway.demo.chain.accounts import ACCOUNT_NAMES, Account, accounts
from gateway.demo.chain.ens import EnsWorld
from gateway.demo.chain.evm import CHAIN_ID, DevChain
from gateway.demo.chain.genesis import REGISTRY, UNIVERSAL_RESOLVER, ens_genesis
from gateway.demo.chain.rpc import rpc_app
from gateway.ids import EthAddress
from gateway.web.server import HttpServer, listen

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningChain:
    """Where a served chain is found, and the means to write to it."""

    url: str
    """JSON-RPC endpoint."""
    chain_id: int
    registry: EthAddress
    universal_resolver: EthAddress
    accounts: Mapping[str, Account]
    """Funded accounts by name (see ``gateway.demo.chain.accounts``)."""
    ens: EnsWorld
    """Synchronous; a coroutine calls it through ``asyncio.to_thread``."""
    core: DevChain
    """The chain behind the endpoint, for tests that set its clock."""


@asynccontextmanager
async def running_chain(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    chain_id: int = CHAIN_ID,
    names: Iterable[str] = ACCOUNT_NAMES,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[RunningChain]:
    """Serve a fresh chain with an empty ENS on ``host:port`` (0: any free port) until the context ends.

    Raises ConfigError when the port is taken.
    """
    people = accounts(names)
    core, ens = await asyncio.to_thread(_found, people, chain_id, clock)
    server = HttpServer(rpc_app(core), listen(host, port))
    await server.start()
    try:
        url = f"http://{host}:{server.port}"
        log.info("chain.serving", url=url, chain_id=chain_id)
        yield RunningChain(url, chain_id, REGISTRY, UNIVERSAL_RESOLVER, people, ens, core)
    finally:
        await server.stop()


def _found(people: Mapping[str, Account], chain_id: int, clock: Callable[[], float]) -> tuple[DevChain, EnsWorld]:
    core = DevChain(ens_genesis(people, int(clock())), chain_id=chain_id, clock=clock)
    return core, EnsWorld(core, people)
