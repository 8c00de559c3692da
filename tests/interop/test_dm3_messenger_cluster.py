"""Two nodes on one PostgreSQL with one Redis: a foreign messenger does not notice which one it meets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.messenger import OVERRIDES, Messenger, Messengers, texts
from tests.support.house import House, another_node, running_house
from tests.support.node import NodeScript
from tests.support.redis import RedisServer
from tests.support.waiting import until


@dataclass(frozen=True)
class Cluster:
    """The delivery service's address at each node. ENS names the first one only, in the place of a load balancer."""

    house: House
    redis: RedisServer
    here: str
    there: str


@pytest.fixture
async def cluster(tmp_path: Path, postgres_store_url: str, redis_server: RedisServer) -> AsyncIterator[Cluster]:
    overrides = {**OVERRIDES, "DM3_GATEWAY__STORE__REDIS_URL": redis_server.url}
    async with (
        running_house(tmp_path / "house", store_url=postgres_store_url, overrides=overrides) as house,
        another_node(house) as other,
    ):
        yield Cluster(house, redis_server, f"{house.url}/ds", f"{other.url}/ds")


@pytest.fixture
async def messengers(cluster: Cluster, messenger_script: NodeScript) -> Messengers:
    found = Messengers(messenger_script)
    await found.open(cluster.house)
    return found


@pytest.fixture
async def alice(cluster: Cluster, messengers: Messengers) -> Messenger:
    return await messengers.join(cluster.house, "alice.eth")


@pytest.fixture
async def bob(cluster: Cluster, messengers: Messengers) -> Messenger:
    return await messengers.join(cluster.house, "bob.eth")


async def submit(writer: Messenger, to: Messenger, url: str, text: str) -> None:
    """Submit to the node at `url`."""
    sealed = await writer.seal(to.name, text)
    answer = await writer.post(url, "dm3_submitMessage", sealed["envelope"])
    assert answer["status"] == 200


@pytest.mark.weakness(22)
async def test_what_one_node_takes_is_pushed_by_the_other(cluster: Cluster, alice: Messenger, bob: Messenger) -> None:
    await bob.listen(url=cluster.here)
    await submit(alice, bob, cluster.there, "over there")
    (found,) = await bob.pushed()
    assert (found.text, found.is_genuine) == ("over there", True)


@pytest.mark.weakness(6)
@pytest.mark.weakness(22)
async def test_sessions_at_both_nodes_are_pushed_to_once_each(
    cluster: Cluster, alice: Messenger, bob: Messenger
) -> None:
    await bob.listen("here", url=cluster.here)
    await bob.listen("there", url=cluster.there)
    for number, url in enumerate((cluster.here, cluster.there, cluster.here, cluster.there)):
        await submit(alice, bob, url, f"{number}")
    await submit(alice, bob, cluster.here, "end")
    for session in ("here", "there"):
        assert sorted(map(str, texts(await bob.pushed(5, session)))) == ["0", "1", "2", "3", "end"]


async def test_messengers_at_different_nodes_talk_over_their_sockets(
    cluster: Cluster, alice: Messenger, bob: Messenger
) -> None:
    await alice.listen(url=cluster.here)
    await bob.listen(url=cluster.there)
    assert (await alice.emit(bob.name, "question"))["answer"] == {"response": "success"}
    assert texts(await bob.pushed()) == ["question"]
    assert (await bob.emit(alice.name, "answer"))["answer"] == {"response": "success"}
    assert texts(await alice.pushed()) == ["answer"]


async def test_a_log_in_at_one_node_is_good_at_the_other(cluster: Cluster, alice: Messenger, bob: Messenger) -> None:
    """Challenge, token, mail and acknowledgement are in the database: every request may meet another node."""
    challenge = await bob.ask("challenge")
    body = {"challenge": challenge, "signature": await bob.ask("sign", text=challenge)}
    answer = await bob.request("POST", f"{cluster.there}/auth/{bob.name}", data=body)
    assert answer["status"] == 200
    await bob.ask("useToken", token=answer["data"])
    await submit(alice, bob, cluster.there, "hello")
    assert await bob.pick_up() == ["hello"]
    waiting = await bob.request(
        "GET",
        f"{cluster.there}/delivery/messages/incoming/{bob.name}",
        headers={"authorization": f"Bearer {answer['data']}"},
    )
    assert (waiting["status"], waiting["data"]) == (200, [])


async def test_without_redis_each_node_serves_its_own_and_nothing_is_lost(
    cluster: Cluster, alice: Messenger, bob: Messenger
) -> None:
    """Redis carries hints only: what was not pushed is in the mailbox, and push goes on when Redis is back."""
    await bob.listen("here", url=cluster.here)
    await bob.listen("there", url=cluster.there)
    cluster.redis.stop()
    without = [f"without {number}" for number in range(10)]
    for text in without:
        await submit(alice, bob, cluster.here, text)
    assert texts(await bob.pushed(10, "here")) == without
    cluster.redis.start()
    sent = 0

    async def look() -> bool | None:
        nonlocal sent
        await submit(alice, bob, cluster.here, f"{sent}")
        sent += 1
        pushed = await bob.ask("pushed", session="there", count=1, seconds=1)
        return bool(pushed) or None

    await until(look, 60)
    assert set(texts(await bob.fetch())) == {*without, *(f"{number}" for number in range(sent))}
