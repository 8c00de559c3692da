"""A gateway for a whole module of tests, and people with JavaScript messengers who are new in each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.interop.messenger import OVERRIDES, SCRIPT, Messenger, Messengers, fresh
from tests.support.house import House, running_house
from tests.support.node import NodeScript


@pytest.fixture(scope="session")
def messenger_script() -> Iterator[NodeScript]:
    """The process with the published libraries; loading them takes seconds."""
    script = NodeScript(SCRIPT)
    yield script
    script.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_house(tmp_path_factory.mktemp("house"), overrides=OVERRIDES) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def messengers(house: House, messenger_script: NodeScript) -> Messengers:
    found = Messengers(messenger_script)
    await found.open(house)
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def alice(house: House, messengers: Messengers) -> Messenger:
    return await messengers.join(house, fresh("alice"))


@pytest_asyncio.fixture(loop_scope="module")
async def bob(house: House, messengers: Messengers) -> Messenger:
    return await messengers.join(house, fresh("bob"))


@pytest_asyncio.fixture(loop_scope="module")
async def carol(house: House, messengers: Messengers) -> Messenger:
    return await messengers.join(house, fresh("carol"))
