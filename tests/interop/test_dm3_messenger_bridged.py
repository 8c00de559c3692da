"""A foreign messenger and somebody of another network, who has a name and keys by the gateway."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import pytest
import pytest_asyncio

from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import Confidence, Delivery, DeliveryState, Rejected, SenderAssurance, StatusReport, Submitted
from tests.interop.messenger import GENERATIONS, OVERRIDES, Generation, Messenger, Messengers, fresh
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.node import NodeError
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, paper: PaperAdapter) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    async with running_house(folder, adapters={paper.name: paper}, overrides=OVERRIDES) as running:
        yield running


@dataclass(frozen=True)
class Bob:
    """Somebody of the paper network."""

    paper: PaperAdapter
    id: str

    @property
    def name(self) -> EnsName:
        """The name that the gateway gave him."""
        return EnsName(f"{self.id.partition('@')[0]}.example.org.paper.gw.eth")

    async def write(self, to: Messenger, text: str, native_id: str, **fields: str) -> Submitted:
        """Bob writes; the native id is his own business."""
        kind = MessageType(fields.pop("type", MessageType.NEW))
        native = f"{self.id}-{native_id}"
        return await self.paper.write(self.id, to.name, text, native, type=kind, **fields)  # type: ignore[arg-type]

    async def delivered(self, number: int = 1) -> list[Delivery]:
        """What was delivered to him, once there are `number`."""

        async def look() -> list[Delivery] | None:
            found = [each for each in self.paper.delivered if each.recipient == self.id]
            return found if len(found) >= number else None

        return await until(look)

    async def told(self, state: DeliveryState) -> StatusReport:
        """The first news of this kind about a message of his."""

        async def look() -> StatusReport | None:
            return next((each for each in self.paper.reports if (each.sender, each.state) == (self.id, state)), None)

        return await until(look)


@pytest.fixture
def bob(paper: PaperAdapter) -> Bob:
    return Bob(paper, f"bob{secrets.token_hex(4)}@example.org")


@pytest_asyncio.fixture(loop_scope="module", params=GENERATIONS)
async def alice(request: pytest.FixtureRequest, house: House, messengers: Messengers, bob: Bob) -> Messenger:
    """Bob has written to her, so he has a name."""
    generation: Generation = request.param
    alice = await messengers.join(house, fresh("alice"), generation)
    await bob.write(alice, "hello", "first")
    await alice.mail()
    return alice


async def test_a_messenger_reads_what_a_bridged_person_writes(alice: Messenger, bob: Bob) -> None:
    """Name, address and profile of the writer come by CCIP-read, and the library finds all of them in order."""
    (found,) = await alice.fetch()
    assert found.sender == bob.name
    assert found.verified == {"message": True, "postmark": True, "postmarkOfThis": True}
    text = found.text or ""
    assert text.startswith("hello")
    assert "not end-to-end" in text, "the first message says so"


async def test_a_messenger_takes_what_the_gateway_says_about_a_sender(alice: Messenger, bob: Bob) -> None:
    """Metadata that the library does not know are kept by it, and the signature holds."""
    sure = SenderAssurance(confidence=Confidence.WEAK, by=("stamp",), domain="example.org", reason="By a stamp.")
    await bob.paper.write(bob.id, alice.name, "stamped", f"{bob.id}-stamped", assurance=sure)
    found = next(each for each in await alice.mail(2) if "stamped" in (each.text or ""))
    assert found.is_genuine
    assert found.text == "stamped\n\n-- \nBy a stamp."
    assert found.message["metadata"]["senderAssurance"]["confidence"] == "weak"


async def test_a_bridged_person_s_message_is_pushed(alice: Messenger, bob: Bob) -> None:
    await alice.listen()
    await bob.write(alice, "pushed", "second")
    (found,) = await alice.pushed()
    assert (found.text, found.sender, found.is_genuine) == ("pushed", bob.name, True)


@pytest.mark.attack(59)
async def test_the_extension_tells_before_anything_is_written_that_the_gateway_reads_along(
    messengers: Messengers, alice: Messenger, bob: Bob
) -> None:
    bridged = await messengers.ask("extensionOf", name=bob.name)
    assert (bridged["endToEnd"], bridged["trust"], bridged["network"]) == (False, "bridged", "paper")
    native = await messengers.ask("extensionOf", name=alice.name)
    assert native["endToEnd"] is True


async def test_a_bridged_person_gets_what_a_messenger_writes(alice: Messenger, bob: Bob) -> None:
    await alice.send(bob.name, "Grüße 👋")
    (delivery,) = await bob.delivered(1)
    assert (delivery.recipient, delivery.sender, delivery.text) == (bob.id, alice.name, "Grüße 👋")
    assert delivery.verified


async def test_a_messenger_s_submission_over_its_socket_reaches_a_bridged_person(alice: Messenger, bob: Bob) -> None:
    await alice.listen()
    assert (await alice.emit(bob.name, "over the socket"))["answer"] == {"response": "success"}
    (delivery,) = await bob.delivered(1)
    assert delivery.text == "over the socket"


async def test_a_delivered_message_is_confirmed_by_the_hash_that_the_messenger_knows(
    alice: Messenger, bob: Bob
) -> None:
    digest = await alice.send(bob.name, "did it arrive?")
    (receipt,) = await alice.mail(type=MessageType.READ_RECEIVED)
    assert (receipt.reference, receipt.sender, receipt.is_genuine) == (digest, bob.name, True)


async def test_answers_find_what_they_answer_in_both_directions(alice: Messenger, bob: Bob) -> None:
    (question,) = await alice.fetch()
    known = question.metadata["encryptedMessageHash"]
    digest = await alice.send(bob.name, "an answer", type=MessageType.REPLY, reference=known)
    (delivery,) = await bob.delivered(1)
    assert delivery.reference is not None
    assert delivery.reference.native_id == f"{bob.id}-first"
    native_id = f"paper-{delivery.key[:16]}"
    await bob.write(alice, "thanks", "second", type=MessageType.REPLY, reference=native_id)
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
async def test_what_the_network_knows_not_is_shown_in_words(alice: Messenger, bob: Bob, kind: MessageType) -> None:
    (question,) = await alice.fetch()
    await alice.send(bob.name, "text", type=kind, reference=question.metadata["messageHash"])
    (delivery,) = await bob.delivered(1)
    assert delivery.text == SHOWN[kind]


@pytest.mark.parametrize("kind", TOLD)
async def test_a_receipt_is_a_report_and_no_text(alice: Messenger, bob: Bob, kind: MessageType) -> None:
    (question,) = await alice.fetch()
    await alice.send(bob.name, kind.value, type=kind, reference=question.metadata["messageHash"])
    assert (await bob.told(TOLD[kind])).native_id == f"{bob.id}-first"
    await alice.send(bob.name, "the next one")
    (delivery,) = await bob.delivered(1)
    assert delivery.text == "the next one"


async def test_a_refusal_by_the_network_comes_back_in_words(alice: Messenger, bob: Bob) -> None:
    bob.paper.script.append(Rejected("the room was closed"))
    digest = await alice.send(bob.name, "hello")
    (notice,) = await alice.mail(type=MessageType.REPLY)
    assert (notice.reference, notice.sender, notice.is_genuine) == (digest, bob.name, True)
    assert "the room was closed" in (notice.text or "")


@pytest.mark.attack(46)
async def test_receipts_about_the_mail_of_others_are_passed_over_in_silence(
    house: House, messengers: Messengers, alice: Messenger, bob: Bob
) -> None:
    """A messenger that starts with mail of several people sends each of them receipts about the mail of all."""
    carol = await messengers.join(house, fresh("carol"))
    await carol.send(alice.name, "from carol")
    assert sorted(await alice.pick_up(receipts=True))[0] == "from carol"
    assert (await bob.told(DeliveryState.DELIVERED)).native_id == f"{bob.id}-first"
    await alice.send(bob.name, "the last one")
    await bob.delivered(1)
    receipts = {each.reference for each in await alice.mail(type=MessageType.READ_RECEIVED)}
    assert len(receipts) == 1
    assert [each.text for each in await alice.fetch() if each.type != MessageType.READ_RECEIVED] == []
    assert [each.text for each in await bob.delivered()] == ["the last one"]


async def test_a_name_that_nobody_ever_had_cannot_be_written_to(messengers: Messengers, alice: Messenger) -> None:
    with pytest.raises(NodeError, match="publishes no profile"):
        await alice.send("nobody.example.org.paper.gw.eth", "hello")
