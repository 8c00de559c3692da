"""The HTTP interface against its own description: schemathesis makes requests of it, right ones and wrong ones.

Through the socket of a whole gateway. No answer blames us, and each is of the type and form that the description says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
)

from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.clients import submit
from tests.integration.relay.doors import Tokens, tokens_of
from tests.integration.relay.test_bad_json import LIMITS
from tests.support.house import House, running_house
from tests.support.routes import Operation

CHECKS: list[CheckFunction] = [not_a_server_error, response_schema_conformance, content_type_conformance]
CASES, LONG_CASES = 20, 500
"""Of each operation and kind of visitor."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Without limits on how often somebody may ask."""
    async with running_house(tmp_path / "house", overrides=LIMITS) as running:
        yield running


def asks(operation: Any, url: str, token: str, cases: int) -> None:
    """One operation, by somebody who may enter and by nobody in particular; called in a thread."""

    @settings(max_examples=cases, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        # A long poll is answered late by its nature.
        case.query = {key: value for key, value in (case.query or {}).items() if key != "wait"}
        headers = {"authorization": f"Bearer {token}"} if token else {}
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

    answered()


@pytest.mark.timeout(3 * 3600)
async def test_answers_are_what_the_description_says(
    house: House, alice: Dm3Client, bob: Dm3Client, pytestconfig: pytest.Config, subtests: pytest.Subtests
) -> None:
    tokens: Tokens = await tokens_of(house, alice)
    schema = schemathesis.openapi.from_dict((await house.http.get(f"{house.url}/openapi.json")).json())
    every: Iterator[Any] = schema.get_all_operations()
    # A part of the description that cannot be read is a failure here.
    found = [each.ok() for each in every]
    assert None not in found
    assert len(found) > 40
    cases = LONG_CASES if pytestconfig.getoption("--long") else CASES
    for operation in found:
        door = Operation(operation.method.upper(), operation.path, needs_session=True)
        for token in (tokens.of(door), ""):
            with subtests.test(f"{door.method} {door.template}", known=bool(token)):
                await asyncio.to_thread(asks, operation, house.url, token, cases)
    await submit(house, alice, bob)
    assert len(await bob.fetch()) == 1, "and the node serves on"
