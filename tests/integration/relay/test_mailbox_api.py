"""Our own mailbox interface: pages, long polls, acknowledgement by id, message requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.envelope import envelope_id, parse_envelope
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.mailbox_api import MAX_IDS
from tests.integration.relay.clients import Api, logged_in, offer, submit, twins
from tests.support.house import House, another_node, running_house


@pytest.fixture
async def api(house: House, bob: Dm3Client) -> Api:
    return await logged_in(house, bob, "bob")


async def test_an_envelope_with_what_is_known_about_it(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    envelope = await submit(house, alice, bob)
    (found,) = await api.mailbox()
    assert found["id"] == envelope_id(bob.address, envelope)
    assert (found["sender"], found["recipient"], found["verified"]) == ("alice.eth", "bob.eth", True)
    assert found["expiresAt"] - found["receivedAt"] == 30 * 24 * 3600 * 1000
    assert parse_envelope(found["envelope"]).message == envelope.message


async def test_pages_hold_everything_once_in_the_order_of_arrival(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    sent = [(await submit(house, alice, bob, str(n))).message for n in range(7)]
    seen, cursor = [], 0
    for _ in range(4):
        answer = (await api.get("mailbox", cursor=cursor, limit=2)).json()
        seen += [each["envelope"]["message"] for each in answer["envelopes"]]
        cursor = answer["cursor"]
    assert seen == sent
    assert await api.mailbox(cursor=cursor) == []
    await submit(house, alice, bob, "later")
    assert len(await api.mailbox(cursor=cursor)) == 1
    assert len(await api.mailbox()) == 8, "what was not acknowledged comes again without a cursor"


async def test_only_of_one_sender(house: House, alice: Dm3Client, bob: Dm3Client, api: Api) -> None:
    carol = await house.native("carol.eth", "carol")
    await submit(house, alice, bob)
    await submit(house, carol, bob, account="carol")
    assert [each["sender"] for each in await api.mailbox(sender="Carol.eth")] == ["carol.eth"]
    assert await api.mailbox(sender="nobody.eth") == []


# --- long polls -----------------------------------------------------------------------------------------------------


async def test_a_long_poll_is_answered_when_mail_comes(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    poll = asyncio.create_task(api.mailbox(wait=60))
    await still_open(poll)
    await submit(house, alice, bob)
    async with asyncio.timeout(60):
        (found,) = await poll
    assert found["sender"] == "alice.eth"
    async with asyncio.timeout(60):
        assert len(await api.mailbox(wait=60)) == 1, "what is there already is not waited for"


async def test_a_long_poll_ends_with_nothing(api: Api) -> None:
    assert await api.mailbox(wait=0.05) == []


async def test_mail_for_others_ends_no_long_poll(house: House, alice: Dm3Client, bob: Dm3Client, api: Api) -> None:
    poll = asyncio.create_task(api.mailbox(wait=60))
    await still_open(poll)
    await submit(house, bob, alice, account="bob")
    await still_open(poll)
    await submit(house, alice, bob)
    assert len(await poll) == 1


async def test_long_polls_of_one_mailbox_are_bounded_and_end_with_the_node(house: House, api: Api) -> None:
    polls = [asyncio.create_task(api.get("mailbox", wait=60)) for _ in range(11)]
    done, open_ = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert [(await poll).status_code for poll in done] == [429]
    await house.gateway.hang_up()
    async with asyncio.timeout(60):
        assert {(await poll).status_code for poll in open_} == {200}


@pytest.mark.weakness(22)
async def test_mail_that_another_node_took_ends_a_long_poll(tmp_path: Path, postgres_store_url: str) -> None:
    async with (
        running_house(tmp_path / "house", store_url=postgres_store_url, working=False) as one,
        another_node(one, working=False) as two,
    ):
        alice, bob = await one.native("alice.eth", "alice"), await one.native("bob.eth", "bob")
        api = await logged_in(one, bob, "bob")
        poll = asyncio.create_task(api.mailbox(wait=60))
        await still_open(poll)
        await submit(two, alice, bob)
        async with asyncio.timeout(60):
            assert len(await poll) == 1


async def still_open(poll: asyncio.Task[Any]) -> None:
    """A poll that waits: there is nothing to see from outside but that no answer comes."""
    done, _ = await asyncio.wait({poll}, timeout=0.3)
    assert not done


# --- acknowledgement by id ------------------------------------------------------------------------------------------


@pytest.mark.attack(5)
async def test_an_id_names_one_envelope_where_a_hash_names_two(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    for envelope in twins(house, alice, bob):
        assert (await offer(house, envelope)).status_code == 200
    first, second = await api.mailbox()
    assert first["envelope"]["metadata"]["messageHash"] == second["envelope"]["metadata"]["messageHash"]
    assert (await api.post("mailbox/acknowledgements", {"ids": [first["id"]]})).json() == {"removed": 1}
    assert [each["id"] for each in await api.mailbox()] == [second["id"]]


async def test_ids_of_others_are_left_alone(house: House, alice: Dm3Client, bob: Dm3Client, api: Api) -> None:
    await submit(house, bob, alice, account="bob")
    other = await logged_in(house, alice, "alice")
    (foreign,) = await other.mailbox()
    ids = [foreign["id"], "0" * 64]
    assert (await api.post("mailbox/acknowledgements", {"ids": ids})).json() == {"removed": 0}
    assert len(await other.mailbox()) == 1


@pytest.mark.attack(29)
async def test_what_is_no_list_of_ids(api: Api, subtests: pytest.Subtests) -> None:
    lists: list[Any] = ["x", [1], ["0" * 63], ["G" * 64], [[]]]
    bodies: list[Any] = [None, [], {}, *({"ids": ids} for ids in lists)]
    for body in bodies:
        with subtests.test(body=body):
            answer = await api.post("mailbox/acknowledgements", body)
            assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_too_many_ids_at_once(api: Api) -> None:
    assert (await api.post("mailbox/acknowledgements", {"ids": ["0" * 64] * (MAX_IDS + 1)})).status_code == 400


async def test_parameters_out_of_bounds(api: Api, subtests: pytest.Subtests) -> None:
    wrong = {"cursor": (-1, "x"), "limit": (0, 1001), "wait": (61, "nan"), "folder": ("x",)}
    for key, values in wrong.items():
        for value in values:
            with subtests.test(key=key, value=value):
                answer = await api.get("mailbox", **{key: value})
                assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_a_sender_that_is_no_name(api: Api) -> None:
    assert (await api.get("mailbox", sender="a b")).status_code == 400


async def test_nothing_without_a_session(house: House, subtests: pytest.Subtests) -> None:
    for path in ("mailbox", "mailbox/requests", "account", "account/rules", "account/export"):
        with subtests.test(path=path):
            answer = await Api(house, "x" * 43).get(path)
            assert (answer.status_code, set(answer.json())) == (401, {"error"})


# --- message requests -----------------------------------------------------------------------------------------------


@pytest.fixture
async def cautious(api: Api) -> Api:
    """Bob lets nobody in whom he has not accepted."""
    await api.set_rules(messageRequests=True)
    return api


async def test_strangers_wait_and_are_let_in_for_good(
    house: House, alice: Dm3Client, bob: Dm3Client, cautious: Api
) -> None:
    await submit(house, alice, bob, "1")
    await submit(house, alice, bob, "2")
    assert await bob.fetch() == []
    assert await cautious.mailbox() == []
    (request,) = (await cautious.get("mailbox/requests")).json()["requests"]
    assert (request["sender"], request["verified"], request["messages"]) == ("alice.eth", True, 2)
    assert len(await cautious.mailbox(folder="requests")) == 2
    answer = await cautious.post("mailbox/requests/Alice.eth", {"action": "accept"})
    assert answer.json() == {"moved": 2}
    await submit(house, alice, bob, "3")
    assert [each.message.text for each in await bob.fetch()] == ["1", "2", "3"]
    assert (await cautious.get("mailbox/requests")).json() == {"requests": []}
    assert (await cautious.get("account/rules")).json()["allow"] == ["alice.eth"]


async def test_a_refused_stranger_may_write_again(
    house: House, alice: Dm3Client, bob: Dm3Client, cautious: Api
) -> None:
    await submit(house, alice, bob, "1")
    assert (await cautious.post("mailbox/requests/alice.eth", {"action": "refuse"})).json() == {"removed": 1}
    assert (await cautious.get("mailbox/requests")).json() == {"requests": []}
    await submit(house, alice, bob, "2")
    assert len(await cautious.mailbox(folder="requests")) == 1


async def test_a_blocked_stranger_may_not(house: House, alice: Dm3Client, bob: Dm3Client, cautious: Api) -> None:
    await submit(house, alice, bob, "1")
    assert (await cautious.post("mailbox/requests/alice.eth", {"action": "block"})).json() == {"removed": 1}
    answer = await offer(house, twins(house, alice, bob)[0])
    assert answer.json()["error"]["code"] == -32010


async def test_accepting_ends_a_long_poll(house: House, alice: Dm3Client, bob: Dm3Client, cautious: Api) -> None:
    await submit(house, alice, bob)
    poll = asyncio.create_task(cautious.mailbox(wait=60))
    await still_open(poll)
    await cautious.post("mailbox/requests/alice.eth", {"action": "accept"})
    async with asyncio.timeout(60):
        assert len(await poll) == 1


async def test_what_is_no_decision(cautious: Api, subtests: pytest.Subtests) -> None:
    bodies: list[Any] = [None, [], {}, {"action": "eat"}, {"action": 1}, {"action": None}]
    for body in bodies:
        with subtests.test(body=body):
            assert (await cautious.post("mailbox/requests/alice.eth", body)).status_code == 400


async def test_spam_is_reported_once_and_its_sender_is_blocked(
    house: House, alice: Dm3Client, bob: Dm3Client, api: Api
) -> None:
    await submit(house, alice, bob)
    (found,) = await api.mailbox()
    answer = await api.post("mailbox/reports", {"id": found["id"]})
    assert answer.json() == {"blocked": "alice.eth", "reported": False}
    assert await api.mailbox() == []
    assert (await api.get("account/rules")).json() == {"block": ["alice.eth"]}
    assert (await api.post("mailbox/reports", {"id": found["id"]})).status_code == 404
    assert (await offer(house, twins(house, alice, bob)[0])).status_code == 403
