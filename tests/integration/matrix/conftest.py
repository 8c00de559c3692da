"""One gateway and one Synapse for all tests that do not stop them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.matrix.worlds import MatrixWorld, matrix_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MatrixWorld]:
    async with matrix_world(tmp_path_factory.mktemp("matrix")) as running:
        yield running
