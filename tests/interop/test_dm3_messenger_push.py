"""A foreign messenger's sockets: push to every session, submission, and who is not let in."""

from __future__ import annotations

import pytest

from gateway.errors import BadSignature, InvalidInput, Unauthorised
from tests.interop.messenger import GENERATIONS, Generation, Messenger, Messengers, fresh, texts
from tests.support.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- push -----------------------------------------------------------------------------------------------------------


async def test_a_socket_is_told_that_it_is_authorized(bob: Messenger) -> None:
    assert await bob.listen() == ["connect", "authorized"]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_message_is_pushed_as_it_is_handed_out(
    house: House, messengers: Messengers, bob: Messenger, generation: Generation
) -> None:
    writer = await messengers.join(house, fresh("writer"), generation)
    await bob.listen()
    digest = await writer.send(bob.name, "pushed")
    pushed = await bob.pushed()
    assert [each.metadata["messageHash"] for each in pushed] == [digest]
    assert (pushed[0].text, pushed[0].is_genuine) == ("pushed", True)
    assert pushed == await bob.fetch(), "a push is no acknowledgement"


@pytest.mark.weakness(6)
async def test_two_sessions_of_one_account_are_both_pushed_to(alice: Messenger, bob: Messenger) -> None:
    await bob.listen("desk")
    await bob.listen("phone")
    for text in ("1", "2"):
        await alice.send(bob.name, text)
    assert texts(await bob.pushed(2, "desk")) == texts(await bob.pushed(2, "phone")) == ["1", "2"]


@pytest.mark.weakness(6)
@pytest.mark.parametrize("closed", ["desk", "phone"])
async def test_the_end_of_one_session_does_not_silence_the_other(alice: Messenger, bob: Messenger, closed: str) -> None:
    await bob.listen("desk")
    await bob.listen("phone")
    await bob.hang_up(closed)
    await alice.send(bob.name, "still there?")
    assert texts(await bob.pushed(1, "phone" if closed == "desk" else "desk")) == ["still there?"]


async def test_nobody_is_pushed_the_mail_of_others(alice: Messenger, bob: Messenger, carol: Messenger) -> None:
    await bob.listen()
    await carol.listen()
    await alice.send(bob.name, "for bob")
    await alice.send(carol.name, "for carol")
    assert texts(await carol.pushed()) == ["for carol"]
    assert texts(await bob.pushed()) == ["for bob"]


async def test_a_message_for_another_name_of_the_owner_is_pushed_too(
    house: House, messengers: Messengers, alice: Messenger, bob: Messenger
) -> None:
    alias = await messengers.create(house, fresh("alias"), wallet=bob.wallet)
    await alias.publish()
    await bob.listen()
    await alice.send(alias.name, "to the alias")
    assert texts(await bob.pushed()) == ["to the alias"]


# --- submission -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_submission_is_acknowledged_once_it_is_kept(
    house: House, messengers: Messengers, bob: Messenger, generation: Generation
) -> None:
    writer = await messengers.join(house, fresh("writer"), generation)
    await writer.listen()
    sent = await writer.emit(bob.name, "over the socket")
    assert sent["answer"] == {"response": "success"}
    (found,) = await bob.fetch()
    assert (found.text, found.is_genuine) == ("over the socket", True)
    assert found.metadata["messageHash"] == sent["hash"]


async def test_two_messengers_talk_over_their_sockets_alone(alice: Messenger, bob: Messenger) -> None:
    for person in (alice, bob):
        await person.listen()
    question = await alice.emit(bob.name, "question")
    assert texts(await bob.pushed()) == ["question"]
    answer = await bob.emit(alice.name, "answer", type="REPLY", reference=question["hash"])
    assert answer["answer"] == {"response": "success"}
    (reply,) = await alice.pushed()
    assert (reply.text, reply.type, reply.reference) == ("answer", "REPLY", question["hash"])


async def test_a_refused_submission_says_why_and_the_socket_lives_on(alice: Messenger, bob: Messenger) -> None:
    await alice.listen()
    refused = await alice.emit(envelope={"message": "no envelope"})
    assert refused["answer"] == {"error": InvalidInput.sentence}
    forged = await alice.emit(bob.name, "I am bob", **{"from": bob.name})
    assert forged["answer"] == {"error": BadSignature.sentence}
    assert (await alice.emit(bob.name, "honest"))["answer"] == {"response": "success"}
    assert texts(await bob.fetch()) == ["honest"]


# --- who is let in --------------------------------------------------------------------------------------------------


@pytest.mark.weakness(14)
@pytest.mark.attack(34)
@pytest.mark.parametrize("token", ["", "registered", "A" * 43, "x" * 5_000])
async def test_a_socket_without_a_good_token_is_refused(alice: Messenger, bob: Messenger, token: str) -> None:
    await bob.listen("good")
    events = await bob.listen("bad", until="refused", token=token)
    assert events == [f"refused: {Unauthorised.sentence}"]
    await alice.send(bob.name, "hello")
    assert texts(await bob.pushed(1, "good")) == ["hello"]
    assert await bob.pushed(0, "bad") == []


async def test_a_token_opens_no_socket_of_somebody_else(alice: Messenger, bob: Messenger) -> None:
    events = await bob.listen("stolen", until="refused", token=await alice.ask("token"))
    assert events == [f"refused: {Unauthorised.sentence}"]


async def test_a_socket_is_opened_again_with_a_renewed_token(house: House, alice: Messenger, bob: Messenger) -> None:
    """A messenger opens a new socket whenever it has a new token."""
    ended = {"authorization": f"Bearer {await bob.ask('token')}"}
    await bob.request("DELETE", f"{house.url}/api/v1/session", headers=ended)
    assert (await bob.listen("before", until="refused"))[0].startswith("refused")
    assert await bob.fetch() == []
    assert await bob.listen("after") == ["connect", "authorized"]
    await alice.send(bob.name, "hello again")
    assert texts(await bob.pushed(1, "after")) == ["hello again"]
