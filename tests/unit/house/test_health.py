"""Readiness: what the components say, asked once for everybody."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.operations.health import FRESH_SECONDS, Health


async def test_many_askers_cost_one_check() -> None:
    asked, go, now = 0, asyncio.Event(), 0.0

    async def check() -> None:
        nonlocal asked
        asked += 1
        await go.wait()

    health = Health({"store": check}, clock=lambda: now)
    asking = [asyncio.create_task(health.readyz()) for _ in range(20)]
    await asyncio.sleep(0)
    go.set()
    assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
    assert asked == 1
    now = FRESH_SECONDS - 0.1
    await health.readyz()
    assert asked == 1
    now = FRESH_SECONDS
    await health.readyz()
    assert asked == 2


async def test_an_asker_that_leaves_does_not_spoil_the_answer_of_the_others() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def check() -> None:
        begun.set()
        await go.wait()

    health = Health({"store": check})
    first, second = asyncio.create_task(health.readyz()), asyncio.create_task(health.readyz())
    await begun.wait()
    first.cancel()
    go.set()
    assert (await second).status_code == 200


async def test_what_others_run_may_be_away() -> None:
    """All nodes miss the same chain: taking them out of the balancer would make a part that is missing into all."""

    async def fine() -> None:
        return

    async def away() -> None:
        raise ConnectionError

    for needed, others, status, told in (
        (fine, fine, 200, "ok"),
        (fine, away, 200, "degraded"),
        (away, fine, 503, "not ready"),
    ):
        answer = await Health({"store": needed}, {"chain": others}).readyz()
        assert (answer.status_code, json.loads(bytes(answer.body))["status"]) == (status, told)


async def test_a_node_that_stops_is_not_ready_at_once() -> None:
    async def fine() -> None:
        return

    health = Health({"store": fine})
    assert (await health.readyz()).status_code == 200
    health.stop()
    answer = await health.readyz()
    assert (answer.status_code, json.loads(bytes(answer.body))["status"]) == (503, "stopping")
    assert (await health.healthz()).status_code == 200


@pytest.mark.weakness(22)
async def test_a_component_that_fails_is_named_until_it_works_again() -> None:
    now, broken = 0.0, True

    async def check() -> None:
        if broken:
            raise ConnectionError("with a secret")

    health = Health({"store": check}, clock=lambda: now)
    answer = await health.readyz()
    assert (answer.status_code, json.loads(bytes(answer.body))["components"]) == (503, {"store": "ConnectionError"})
    broken = False
    assert (await health.readyz()).status_code == 503
    now = FRESH_SECONDS
    assert (await health.readyz()).status_code == 200
