"""One gateway and one server of each kind for all tests that do not stop them; and an adapter alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.xmpp.gates import Gate, opened_gate
from tests.integration.xmpp.worlds import XmppWorld, xmpp_world
from tests.support.ejabberd import ejabberd_server
from tests.support.prosody import prosody_server


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=[prosody_server, ejabberd_server], ids=["prosody", "ejabberd"]
)
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[XmppWorld]:
    folder = tmp_path_factory.mktemp("xmpp")
    async with request.param(folder / "server") as server, xmpp_world(folder, server) as running:
        yield running


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Of an adapter alone, for each test anew."""
    async with opened_gate(tmp_path) as opened:
        yield opened
