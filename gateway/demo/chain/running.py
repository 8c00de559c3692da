"""A local chain being served: started, and ended, as an asynchronous context."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

import structlog
import uvicorn

from gateway.demo.chain.accounts import ACCOUNT_NAMES, Account, accounts
from gateway.demo.chain.ens import EnsWorld
from gateway.demo.chain.evm import CHAIN_ID, DevChain
from gateway.demo.chain.genesis import REGISTRY, UNIVERSAL_RESOLVER, ens_genesis
from gateway.demo.chain.rpc import rpc_app
from gateway.ids import EthAddress

log = structlog.get_logger(__name__)

_BACKLOG: Final = 128


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

    Raises OSError when the port is taken.
    """
    people = accounts(names)
    core, ens = await asyncio.to_thread(_found, people, chain_id, clock)
    with _listen(host, port) as listener:
        server = _Server(uvicorn.Config(rpc_app(core), log_config=None, access_log=False, ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]), name="chain-rpc")
        try:
            await server.ready.wait()
            url = f"http://{host}:{listener.getsockname()[1]}"
            log.info("chain.serving", url=url, chain_id=chain_id)
            yield RunningChain(url, chain_id, REGISTRY, UNIVERSAL_RESOLVER, people, ens, core)
        finally:
            server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """A server that leaves SIGINT and SIGTERM to the program it is embedded in, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def _found(people: Mapping[str, Account], chain_id: int, clock: Callable[[], float]) -> tuple[DevChain, EnsWorld]:
    core = DevChain(ens_genesis(people, int(clock())), chain_id=chain_id, clock=clock)
    return core, EnsWorld(core, people)


def _listen(host: str, port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each reply waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
