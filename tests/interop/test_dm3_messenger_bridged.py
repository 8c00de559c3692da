"""A foreign messenger and somebody of another network, who has a name and keys by the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import DeliveryState, Rejected
from tests.interop.messenger import GENERATIONS, Generation, Messenger, Messengers
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.node import NodeError, NodeScript

BOB: Final = "bob@example.org"
BOB_NAME: Final = EnsName("bob.example.org.paper.gw.eth")


@pytest.fixture
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest.fixture
async def house(tmp_path: Path, paper: PaperAdapter) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as running:
        yield running


@pytest.fixture
async def messengers(house: House, messenger_script: NodeScript) -> Messengers:
    found = Messengers(messenger_script)
    await found.open(house)
    return found


@pytest.fixture(params=GENERATIONS)
async def alice(request: pytest.FixtureRequest, house: House, messengers: Messengers, paper: PaperAdapter) -> Messenger:
    """Bob has written to her, so he has a name."""
    generation: Generation = request.param
    alice = await messengers.join(house, "alice.eth", generation)
    await paper.write(BOB, alice.name, "hello", "n1")
    await alice.mail()
    return alice


async def test_a_messenger_reads_what_a_bridged_person_writes(alice: Messenger) -> None:
    """Name, address and profile of the writer come by CCIP-read, and the library finds all of them in order."""
    (found,) = await alice.fetch()
    assert found.sender == BOB_NAME
    assert found.verified == {"message": True, "postmark": True, "postmarkOfThis": True}
    text = found.text or ""
    assert text.startswith("hello")
    assert "not end-to-end" in text, "the first message says so"


async def test_a_bridged_person_s_message_is_pushed(alice: Messenger, paper: PaperAdapter) -> None:
    await alice.listen()
    await paper.write(BOB, EnsName(alice.name), "pushed", "n2")
    (found,) = await alice.pushed()
    assert (found.text, found.sender, found.is_genuine) == ("pushed", BOB_NAME, True)


async def test_the_extension_tells_before_anything_is_written_that_the_gateway_reads_along(
    messengers: Messengers, alice: Messenger
) -> None:
    bridged = await messengers.ask("extensionOf", name=BOB_NAME)
    assert (bridged["endToEnd"], bridged["trust"], bridged["network"]) == (False, "bridged", "paper")
    native = await messengers.ask("extensionOf", name=alice.name)
    assert native["endToEnd"] is True


async def test_a_bridged_person_gets_what_a_messenger_writes(alice: Messenger, paper: PaperAdapter) -> None:
    await alice.send(BOB_NAME, "Grüße 👋")
    (delivery,) = await paper.wait_delivered(1)
    assert (delivery.recipient, delivery.sender, delivery.text) == (BOB, alice.name, "Grüße 👋")
    assert delivery.verified


async def test_a_messenger_s_submission_over_its_socket_reaches_a_bridged_person(
    alice: Messenger, paper: PaperAdapter
) -> None:
    await alice.listen()
    assert (await alice.emit(BOB_NAME, "over the socket"))["answer"] == {"response": "success"}
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "over the socket"


async def test_a_delivered_message_is_confirmed_by_the_hash_that_the_messenger_knows(
    alice: Messenger, paper: PaperAdapter
) -> None:
    digest = await alice.send(BOB_NAME, "did it arrive?")
    (receipt,) = await alice.mail(type=MessageType.READ_RECEIVED)
    assert (receipt.reference, receipt.sender, receipt.is_genuine) == (digest, BOB_NAME, True)


async def test_answers_find_what_they_answer_in_both_directions(alice: Messenger, paper: PaperAdapter) -> None:
    (question,) = await alice.fetch()
    known = question.metadata["encryptedMessageHash"]
    digest = await alice.send(BOB_NAME, "an answer", type=MessageType.REPLY, reference=known)
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.reference is not None
    assert delivery.reference.native_id == "n1"
    native_id = f"paper-{delivery.key[:16]}"
    await paper.write(BOB, EnsName(alice.name), "thanks", "n2", type=MessageType.REPLY, reference=native_id)
    (thanks,) = await alice.mail(type=MessageType.REPLY)
    assert (thanks.text, thanks.reference) == ("thanks", digest)


SHOWN: Final = {
    MessageType.NEW: "text",
    MessageType.REPLY: "text",
    MessageType.EDIT: "Correction: text",
    MessageType.REACTION: "Reacted with text",
    MessageType.DELETE_REQUEST: "Asked you to delete an earlier message.",
    MessageType.RESEND_REQUEST: "Asked you to send an earlier message again.",
}
TOLD: Final = {
    MessageType.READ_RECEIVED: DeliveryState.DELIVERED,
    MessageType.READ_OPENED: DeliveryState.OPENED,
}


@pytest.mark.parametrize("kind", SHOWN)
async def test_what_the_network_knows_not_is_shown_in_words(
    alice: Messenger, paper: PaperAdapter, kind: MessageType
) -> None:
    (question,) = await alice.fetch()
    await alice.send(BOB_NAME, "text", type=kind, reference=question.metadata["messageHash"])
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == SHOWN[kind]


@pytest.mark.parametrize("kind", TOLD)
async def test_a_receipt_is_a_report_and_no_text(alice: Messenger, paper: PaperAdapter, kind: MessageType) -> None:
    (question,) = await alice.fetch()
    await alice.send(BOB_NAME, kind.value, type=kind, reference=question.metadata["messageHash"])
    assert (await paper.wait_report(TOLD[kind])).native_id == "n1"
    await alice.send(BOB_NAME, "the next one")
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "the next one"


async def test_a_refusal_by_the_network_comes_back_in_words(alice: Messenger, paper: PaperAdapter) -> None:
    paper.script.append(Rejected("the room was closed"))
    digest = await alice.send(BOB_NAME, "hello")
    (notice,) = await alice.mail(type=MessageType.REPLY)
    assert (notice.reference, notice.sender, notice.is_genuine) == (digest, BOB_NAME, True)
    assert "the room was closed" in (notice.text or "")


async def test_receipts_about_the_mail_of_others_are_passed_over_in_silence(
    house: House, messengers: Messengers, alice: Messenger, paper: PaperAdapter
) -> None:
    """A messenger that starts with mail of several people sends each of them receipts about the mail of all."""
    carol = await messengers.join(house, "carol.eth")
    await carol.send(alice.name, "from carol")
    assert sorted(await alice.pick_up(receipts=True))[0] == "from carol"
    assert (await paper.wait_report(DeliveryState.DELIVERED)).native_id == "n1"
    await alice.send(BOB_NAME, "the last one")
    await paper.wait_delivered(1)
    receipts = {each.reference for each in await alice.mail(type=MessageType.READ_RECEIVED)}
    assert len(receipts) == 1
    assert [each.text for each in await alice.fetch() if each.type != MessageType.READ_RECEIVED] == []
    assert [each.text for each in paper.delivered] == ["the last one"]


async def test_a_name_that_nobody_ever_had_cannot_be_written_to(messengers: Messengers, alice: Messenger) -> None:
    with pytest.raises(NodeError, match="publishes no profile"):
        await alice.send("nobody.example.org.paper.gw.eth", "hello")
