"""Conversations of a foreign messenger: with others of its kind, of either generation, and with our Python client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio

from gateway.dm3.message import Attachment, MessageType
from gateway.ids import EnsName, MessageHash
from gateway.operations.dm3_client import Dm3Client
from tests.interop.messenger import (
    GENERATIONS,
    SIZE_LIMIT,
    Generation,
    Messenger,
    Messengers,
    Opened,
    Refused,
    fresh,
)
from tests.support.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

EARLIER: Final = "0x" + "ab" * 32
"""A message that is referred to."""
OTHER: Final[dict[Generation, Generation]] = {"npm": "develop", "develop": "npm"}
FILE: Final = {"name": "ä.txt", "data": "data:text/plain;base64,aGk="}
WITH_TEXT: Final = frozenset(MessageType) - {MessageType.DELETE_REQUEST, MessageType.RESEND_REQUEST}
WITH_FILES: Final = frozenset({MessageType.NEW, MessageType.REPLY, MessageType.EDIT})


def fields_of(kind: MessageType) -> dict[str, Any]:
    """What a messenger writes into a message of this type."""
    text = kind.value if kind in (MessageType.READ_OPENED, MessageType.READ_RECEIVED) else "Grüße 👋"
    return {"type": kind.value, "text": text, "reference": None if kind is MessageType.NEW else EARLIER}


# --- between two messengers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A messenger of one generation and one of the other."""

    writer: Messenger
    reader: Messenger

    async def exchanged(self, text: str, **fields: Any) -> Opened:
        """What the reader has of a message, found by the hash that the writer knows."""
        digest = await self.writer.send(self.reader.name, text, **fields)
        (found,) = [each for each in await self.reader.fetch() if each.metadata["messageHash"] == digest]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=GENERATIONS)
async def pair(request: pytest.FixtureRequest, house: House, messengers: Messengers) -> Pair:
    writer = await messengers.join(house, fresh("writer"), request.param)
    return Pair(writer, await messengers.join(house, fresh("reader"), OTHER[request.param]))


@pytest.mark.weakness(8)
@pytest.mark.parametrize("kind", MessageType)
async def test_a_message_of_every_type_arrives_with_good_signatures(pair: Pair, kind: MessageType) -> None:
    fields = fields_of(kind)
    found = await pair.exchanged(**fields)
    assert found.verified == {"message": True, "postmark": True, "postmarkOfThis": True}
    assert (found.type, found.sender, found.reference) == (kind, pair.writer.name, fields["reference"])
    assert found.text == (fields["text"] if kind in WITH_TEXT else None)


@pytest.mark.weakness(8)
async def test_both_generations_find_their_hash(pair: Pair) -> None:
    """A messenger acknowledges and refers to what it finds in the field of its own generation."""
    digest = await pair.writer.send(pair.reader.name, "hello")
    (found,) = [each for each in await pair.reader.fetch() if digest in each.metadata.values()]
    assert found.metadata["messageHash"] == found.metadata["encryptedMessageHash"] == digest
    assert found.metadata["deliveryInformation"] == {"from": pair.writer.name, "to": pair.reader.name}


async def test_the_postmark_tells_when_and_from_whom(pair: Pair) -> None:
    found = await pair.exchanged("hello")
    assert found.postmark["incommingTimestamp"] == found.postmark["incomingTimestamp"]
    assert abs(found.postmark["incommingTimestamp"] - found.message["metadata"]["timestamp"]) < 60_000
    assert found.postmark["deliveryInformation"] == {"from": pair.writer.name, "to": pair.reader.name}


async def test_attachments_arrive_as_they_were(pair: Pair) -> None:
    found = await pair.exchanged("with a file", attachments=[FILE])
    assert found.message["attachments"] == [FILE]
    assert found.is_genuine


async def test_a_long_text_arrives_whole(pair: Pair) -> None:
    text = "Ξένος 👋 " * 2_000
    assert (await pair.exchanged(text)).text == text


@pytest.mark.parametrize("receipt", [MessageType.READ_RECEIVED, MessageType.READ_OPENED])
async def test_receipts_name_the_message_by_the_hash_that_its_writer_knows(pair: Pair, receipt: MessageType) -> None:
    digest = await pair.writer.send(pair.reader.name, receipt.value)
    waiting = await pair.reader.fetch()
    index = next(number for number, each in enumerate(waiting) if each.text == receipt and each.type == "NEW")
    await pair.reader.ask("confirm", index=index, type=receipt.value)
    confirmed = {each.reference: each for each in await pair.writer.mail(type=receipt)}
    assert confirmed[digest].is_genuine
    assert confirmed[digest].sender == pair.reader.name


@pytest.mark.weakness(7)
@pytest.mark.attack(4)
async def test_an_envelope_that_is_submitted_twice_is_there_once(pair: Pair) -> None:
    sealed = await pair.writer.seal(pair.reader.name, "twice")
    for _ in range(2):
        answer = await pair.writer.post(sealed["url"], "dm3_submitMessage", json.dumps(sealed["envelope"]))
        assert answer["status"] == 200
    assert [each.text for each in await pair.reader.fetch()].count("twice") == 1


@pytest.mark.weakness(8)
@pytest.mark.parametrize("form", ["text", "object"])
@pytest.mark.parametrize("generation", [*GENERATIONS, "spec"])
async def test_an_envelope_is_taken_in_every_form(alice: Messenger, bob: Messenger, generation: str, form: str) -> None:
    """As text or as an object, with the hash of either generation or, as in the specification, without any."""
    sealed = await alice.seal(bob.name, "in any form", dialect=generation)
    envelope = sealed["envelope"] if form == "object" else json.dumps(sealed["envelope"])
    answer = await alice.post(sealed["url"], "dm3_submitMessage", envelope)
    assert (answer["status"], answer["data"]["result"]) == (200, "OK")
    (found,) = await bob.fetch()
    assert (found.text, found.is_genuine) == ("in any form", True)
    assert found.metadata["messageHash"] == found.metadata["encryptedMessageHash"]
    assert sealed["hash"] in (None, found.metadata["messageHash"])


# --- what a messenger is told no for: it looks at the HTTP status and at nothing else -------------------------------


async def test_a_recipient_that_is_not_here_is_refused_and_not_lost(alice: Messenger, bob: Messenger) -> None:
    with pytest.raises(Refused) as refused:
        await alice.send("nobody.eth", "hello", readBy=bob.name)
    assert (refused.value.status, refused.value.data["error"]["code"]) == (404, -32001)


@pytest.mark.weakness(2)
@pytest.mark.attack(3)
async def test_nobody_writes_in_the_name_of_another(alice: Messenger, bob: Messenger, carol: Messenger) -> None:
    with pytest.raises(Refused) as refused:
        await carol.send(bob.name, "I am alice", **{"from": alice.name})
    assert (refused.value.status, refused.value.data["error"]["code"]) == (401, -32003)
    assert await bob.fetch() == []


async def test_a_message_that_is_too_large_is_refused(alice: Messenger, bob: Messenger) -> None:
    with pytest.raises(Refused) as refused:
        await alice.send(bob.name, "x" * SIZE_LIMIT)
    assert (refused.value.status, refused.value.data["error"]["code"]) == (413, -32011)


# --- with our own client --------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def python(house: House) -> Dm3Client:
    return await house.native("python.eth")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=GENERATIONS)
async def javascript(request: pytest.FixtureRequest, house: House, messengers: Messengers) -> Messenger:
    return await messengers.join(house, fresh("javascript"), request.param)


@pytest.mark.parametrize("kind", MessageType)
async def test_our_client_reads_what_a_messenger_writes(
    python: Dm3Client, javascript: Messenger, kind: MessageType
) -> None:
    fields = fields_of(kind)
    digest = await javascript.send(python.name, attachments=[FILE], **fields)
    (received,) = await python.fetch()
    await python.acknowledge(received)
    assert received.verified
    assert (received.sender, received.message_hash) == (javascript.name, digest)
    message = received.message
    assert (message.type, message.reference) == (kind, fields["reference"])
    assert message.text == (fields["text"] if kind in WITH_TEXT else None)
    files = (Attachment(FILE["data"], FILE["name"]),) if kind in WITH_FILES else ()
    assert (message.attachments or ()) == files
    assert await python.fetch() == []


@pytest.mark.parametrize("kind", MessageType)
async def test_a_messenger_reads_what_our_client_writes(
    python: Dm3Client, javascript: Messenger, kind: MessageType
) -> None:
    fields = fields_of(kind)
    reference = MessageHash(fields["reference"]) if fields["reference"] else None
    sent = await python.send(
        EnsName(javascript.name),
        fields["text"],
        kind=kind,
        reference=reference,
        attachments=(Attachment(FILE["data"], FILE["name"]),),
    )
    (found,) = [each for each in await javascript.fetch() if each.metadata["messageHash"] == sent.message_hash]
    assert found.verified == {"message": True, "postmark": True, "postmarkOfThis": True}
    assert (found.type, found.sender, found.text) == (kind, python.name, fields["text"])
    assert found.reference == fields["reference"]
    assert found.message["attachments"] == [FILE]
