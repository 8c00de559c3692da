"""The reply instruction of a received message goes back with every answer to it (DM3-MTP, deliveryInstruction)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.bridge.inbound import MAX_INSTRUCTION
from gateway.dm3.canonical import stringify
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.message import Message, MessageType, message_hash, message_to_json, parse_message
from gateway.dm3.signing import sign
from gateway.ids import EnsName, MessageHash
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client, Received
from gateway.sdk import DeliveryState, Rejected
from gateway.store.messagemap import NativeOf
from tests.integration.bridge.scripted import BOB, BOB_NAME, ScriptedService, person_at
from tests.integration.relay.envelopes import keys_of
from tests.support.adapters import PaperAdapter
from tests.support.house import House, rpc, running_house
from tests.support.waiting import mail_of, until

ROOM = 'room:!abc:example.org "ü" \U0001f44d \\ {"topic": 7}'


async def send_with(
    house: House, sender: Dm3Client, account: str, instruction: Any, *, text: str = "hello", at: House | None = None
) -> MessageHash:
    """A message to Bob that carries a reply instruction, submitted to his relay."""
    keys, relay = keys_of(house, account), at or house
    draft = Message(to=BOB_NAME, from_=sender.name, type=MessageType.NEW, timestamp=now_ms(), text=text)
    content = message_to_json(draft)
    metadata = content["metadata"]
    assert isinstance(metadata, dict)
    metadata["replyDeliveryInstruction"] = instruction
    message = parse_message(stringify({**content, "signature": sign(keys.signing, stringify(content))}))
    bob = await house.profiles.user(BOB_NAME)
    envelope = seal(
        message,
        bob.profile.public_encryption_key,
        relay.gateway.service_profile.public_encryption_key,
        keys.signing,
    )
    answer = await rpc(relay, "dm3_submitMessage", canonical_envelope(envelope))
    assert answer.status_code == 200, answer.text
    return message_hash(message)


def instruction_of(received: Received) -> str | None:
    """What its delivery service was told, as the postmark repeats it."""
    assert received.postmark.information is not None
    return received.postmark.information.instruction


@pytest.fixture
async def acquainted(house: House, paper: PaperAdapter, native: Dm3Client) -> Dm3Client:
    """Bob has written first, so he has a name."""
    await paper.write(BOB, native.name, "hello", "n0")
    await native.acknowledge(*await mail_of(native))
    return native


@pytest.mark.weakness(19)
async def test_every_answer_carries_it_from_gateway_to_gateway(tmp_path: Path) -> None:
    near_paper, far_paper = PaperAdapter(), PaperAdapter()
    async with (
        running_house(tmp_path / "near", adapters={near_paper.name: near_paper}) as near,
        running_house(
            tmp_path / "far", adapters={far_paper.name: far_paper}, chain=near.chain, parent=EnsName("far.eth")
        ) as far,
    ):
        native = await far.native("native.eth")
        await near_paper.write(BOB, native.name, "hello", "n0")
        (first,) = await mail_of(native)
        assert instruction_of(first) is None, "it answers nothing"
        await native.acknowledge(first)
        asked = await send_with(far, native, "native", ROOM, at=near)
        (delivery,) = await near_paper.wait_delivered(1)
        question = f"paper-{delivery.key[:16]}"
        for kind in (MessageType.REPLY, MessageType.REACTION, MessageType.READ_OPENED):
            await near_paper.write(BOB, native.name, "yes", f"n-{kind}", type=kind, reference=question)
            (answer,) = await mail_of(native, kind=kind)
            assert (answer.message.reference, instruction_of(answer)) == (asked, ROOM)
        (receipt,) = await mail_of(native, kind=MessageType.READ_RECEIVED)
        assert (receipt.message.reference, instruction_of(receipt)) == (asked, ROOM)
        # An edit is about Bob's own answer, and has to find the same room.
        await near_paper.write(BOB, native.name, "no", "n-edit", type=MessageType.EDIT, reference="n-REPLY")
        (edit,) = await mail_of(native, kind=MessageType.EDIT)
        assert instruction_of(edit) == ROOM
        await near_paper.write(BOB, native.name, "something else", "n-new")
        (new,) = await mail_of(native)
        assert instruction_of(new) is None


async def test_a_failure_notice_carries_it(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    paper.script.append(Rejected("the mailbox is full"))
    asked = await send_with(house, acquainted, "native", ROOM)
    (notice,) = await mail_of(acquainted, kind=MessageType.REPLY)
    assert (notice.message.reference, instruction_of(notice)) == (asked, ROOM)


async def test_another_service_gets_it_in_the_sealed_delivery_information(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService()
    async with service.at(house.chain, "away.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        await service.wait_taken(1)
        await send_with(house, carol, "carol", ROOM)
        (delivery,) = await paper.wait_delivered(1)
        await service.wait_taken(2)
        question = f"paper-{delivery.key[:16]}"
        await paper.write(BOB, carol.name, "yes", "n1", type=MessageType.REPLY, reference=question)
        await service.wait_taken(3)
        instructions = [service.information(number).instruction for number in range(3)]
        assert instructions == [None, ROOM, ROOM]
        assert ROOM not in service.taken[2], "nobody reads it on the way"


@pytest.mark.parametrize("spelt", [None, "", 7, ["room"], "a" * (MAX_INSTRUCTION + 1), "ü" * 2049, "a\0b"], ids=repr)
async def test_what_is_not_kept_costs_nothing_else(
    house: House, paper: PaperAdapter, acquainted: Dm3Client, spelt: Any
) -> None:
    asked = await send_with(house, acquainted, "native", spelt)
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "hello"
    question = f"paper-{delivery.key[:16]}"
    await paper.write(BOB, acquainted.name, "yes", "n1", type=MessageType.REPLY, reference=question)
    (answer,) = await mail_of(acquainted, kind=MessageType.REPLY)
    assert (answer.message.reference, instruction_of(answer)) == (asked, None)


@pytest.mark.parametrize(
    ("spelt", "kept"),
    [(each, each) for each in ("a" * MAX_INSTRUCTION, "ü" * 2048, "\n\t\x01", " ")] + [("a\0b", None)],
    ids=lambda text: repr(text)[:10],
)
async def test_it_is_kept_byte_for_byte_on_either_database(
    tmp_path: Path, store_url: str, spelt: str, kept: str | None
) -> None:
    paper = PaperAdapter()
    async with running_house(tmp_path, adapters={paper.name: paper}, store_url=store_url) as house:
        native = await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n0")
        await native.acknowledge(*await mail_of(native))
        asked = await send_with(house, native, "native", spelt)

        async def linked() -> Any:
            return await house.gateway.store.read(NativeOf(paper.name, asked)) or None

        (link,) = await until(linked)
        assert link.reply_instruction == kept
        assert "reply_instruction" not in repr(link)


async def test_an_instruction_of_another_conversation_stays_there(house: House, paper: PaperAdapter) -> None:
    """The same native message went to two people; only one of them had asked for something."""
    alice, carol = await house.native("alice.eth", "alice"), await house.native("carol.eth", "carol")
    for person in (alice, carol):
        await paper.write(BOB, person.name, "hello", "n0")
        await person.acknowledge(*await mail_of(person))
    await send_with(house, alice, "alice", ROOM)
    (delivery,) = await paper.wait_delivered(1)
    question = f"paper-{delivery.key[:16]}"
    await paper.write(BOB, carol.name, "yes", "n1", type=MessageType.REPLY, reference=question)
    (answer,) = await mail_of(carol)
    assert instruction_of(answer) is None
    assert not [report for report in paper.reports if report.state is DeliveryState.FAILED]


async def test_signatures_hold_with_instructions(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    """It stands in what the sender signed, so it must not be dropped before the check."""
    await send_with(house, acquainted, "native", ROOM)
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.verified
