"""The echo and the client under it: mirrors what it should, and nobody can stop it or make it run in circles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.keys import encryption_pair
from gateway.dm3.message import Attachment, Message, MessageType, sign_message
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.operations.echo import PREFIX, Echo
from gateway.sdk.delivery import NOTICE_MARK
from tests.integration.relay.envelopes import keys_of
from tests.support.house import House, rpc, running_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", working=False) as running:
        yield running


@pytest.fixture
async def alice(house: House) -> Dm3Client:
    return await house.native("alice.eth", "alice")


@pytest.fixture
async def echo(house: House) -> Echo:
    return Echo(await house.native("echo.eth", "echo"))


async def answers(client: Dm3Client, *silent: MessageType) -> list[Message]:
    """What came back, without receipts."""
    return [each.message for each in await client.fetch() if each.message.type not in silent]


RECEIPTS = (MessageType.READ_RECEIVED, MessageType.READ_OPENED)


async def test_text_and_attachments_come_back(house: House, alice: Dm3Client, echo: Echo) -> None:
    files = (Attachment("data:text/plain;base64,aGk=", "a.txt"),)
    sent = await alice.send(EnsName("echo.eth"), "hello", attachments=files)
    assert await echo.answer_waiting() == 1
    assert {each.message.type for each in await alice.fetch()} == {*RECEIPTS, MessageType.NEW}
    (answer,) = await answers(alice, *RECEIPTS)
    assert (answer.text, answer.attachments) == (PREFIX + "hello", files)
    receipts = [each.message for each in await alice.fetch() if each.message.type in RECEIPTS]
    assert {receipt.reference for receipt in receipts} == {sent.message_hash}
    assert await echo.answer_waiting() == 0, "acknowledged"


async def test_edits_and_deletions_change_the_answer(house: House, alice: Dm3Client, echo: Echo) -> None:
    first = await alice.send(EnsName("echo.eth"), "hello")
    await echo.answer_waiting()
    (answer,) = [each for each in await alice.fetch() if each.message.type is MessageType.NEW]
    for kind, text in ((MessageType.EDIT, "hello again"), (MessageType.DELETE_REQUEST, "")):
        await alice.send(EnsName("echo.eth"), text, kind=kind, reference=first.message_hash)
    await echo.answer_waiting()
    changed = {message.type: message for message in await answers(alice, *RECEIPTS, MessageType.NEW)}
    assert changed[MessageType.EDIT].text == PREFIX + "hello again"
    assert {message.reference for message in changed.values()} == {answer.message_hash}


async def test_it_answers_as_the_name_that_was_written_to(house: House, alice: Dm3Client, echo: Echo) -> None:
    await house.native("early.echo.eth", "echo")
    await alice.send(EnsName("early.echo.eth"), "hello")
    await echo.answer_waiting()
    (answer,) = await answers(alice, *RECEIPTS)
    assert answer.from_ == "early.echo.eth"


@pytest.mark.parametrize("text", [PREFIX + "hello", NOTICE_MARK + "Your message did not reach bob"])
async def test_it_does_not_talk_to_machines(house: House, alice: Dm3Client, echo: Echo, text: str) -> None:
    await alice.send(EnsName("echo.eth"), text)
    assert await echo.answer_waiting() == 1
    assert await alice.fetch() == []


async def test_junk_does_not_stand_in_the_way(house: House, alice: Dm3Client, echo: Echo) -> None:
    """The relay takes an envelope that its recipient cannot open; it must not hide what comes after it."""
    keys = keys_of(house, "alice")
    draft = Message(to="echo.eth", from_=alice.name, type=MessageType.NEW, timestamp=1, text="x")
    service = house.gateway.service_profile.public_encryption_key
    junk = seal(sign_message(draft, keys.signing), encryption_pair().public, service, keys.signing)
    assert (await rpc(house, "dm3_submitMessage", canonical_envelope(junk))).status_code == 200
    await alice.send(EnsName("echo.eth"), "after the junk")
    assert await echo.answer_waiting() == 1
    (answer,) = await answers(alice, *RECEIPTS)
    assert answer.text == PREFIX + "after the junk"
    token = house.clients[EnsName("echo.eth")]
    assert await token.fetch() == []


async def test_one_unreachable_correspondent_does_not_hold_up_another(
    house: House, alice: Dm3Client, echo: Echo
) -> None:
    """The sender's own relay does not answer: no answer for them, and no waiting for the rest."""
    lost = await house.native("lost.eth", "carol", service=EnsName("ds.nowhere.eth"))
    await lost.send(EnsName("echo.eth"), "you cannot answer me")
    await alice.send(EnsName("echo.eth"), "hello")
    assert await echo.answer_waiting() == 2
    (answer,) = await answers(alice, *RECEIPTS)
    assert answer.text == PREFIX + "hello"
