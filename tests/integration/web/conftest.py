"""One gateway with a network called paper, one browser, and a fresh visitor for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.lifecycle import now_ms
from tests.integration.subnames.wallets import Wallet
from tests.integration.web.injected import InjectedWallet
from tests.integration.web.visitors import Visitor, chromium, visiting
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house

SETTINGS = {"DM3_GATEWAY__SUBNAMES__POLICY": "open", "DM3_GATEWAY__SUBNAMES__TERM_DAYS": "365"}
_numbers = itertools.count(1)


class MovingClock:
    """The time of the gateway: that of the machine, and as far `ahead` (ms) as a test puts it."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead


class Arrives(Protocol):
    """Lets somebody come, with these wallets in their browser."""

    async def __call__(self, *wallets: InjectedWallet, announced: bool = True, **context: Any) -> Visitor: ...


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture(scope="session")
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(
    tmp_path_factory: pytest.TempPathFactory, clock: MovingClock, paper: PaperAdapter
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("pages")
    async with running_house(
        folder / "house",
        adapters={paper.name: paper},
        overrides=SETTINGS,
        clock=clock,
        around=lambda app: ProxyHeadersMiddleware(app, trusted_hosts="*"),  # type: ignore[arg-type,return-value]
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def arrives(house: House, browser: Browser) -> AsyncIterator[Arrives]:
    async with AsyncExitStack() as stack:

        async def come(*wallets: InjectedWallet, announced: bool = True, **context: Any) -> Visitor:
            visit: AbstractAsyncContextManager[Visitor] = visiting(
                house, browser, *wallets, announced=announced, **context
            )
            return await stack.enter_async_context(visit)

        yield come


@pytest.fixture
def wallet(house: House) -> InjectedWallet:
    return InjectedWallet(house.chain.chain_id)


@pytest.fixture
def fresh() -> Callable[[], str]:
    """A label that nobody has."""
    return lambda: f"visitor{'abcdefghij'[next(_numbers) % 10]}{next(_numbers)}x"


@pytest.fixture
def owner(house: House, wallet: InjectedWallet) -> Wallet:
    """The same person, without a browser."""
    return Wallet(house, wallet.key)
