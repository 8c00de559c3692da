"""How sure a network is of a sender reaches the recipient: as a value in each message, in doubt once in words."""

from __future__ import annotations

from typing import Final

from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import Confidence, EnsName, SenderAssurance
from tests.support.adapters import PaperAdapter
from tests.support.house import House
from tests.support.waiting import mail_of

BOB: Final = "bob@example.org"
REASON: Final = "Only the post office says that this is from Bob."
PROVED = SenderAssurance(confidence=Confidence.PROVED, by=("seal",), domain="example.org", checks={"seal": "whole"})
WEAK = SenderAssurance(confidence=Confidence.WEAK, by=("stamp",), checks={"seal": "none"}, reason=REASON)


async def test_each_message_says_how_sure_the_network_is(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    for number, assurance in enumerate((PROVED, WEAK, None)):
        await paper.write(BOB, native.name, f"{number}", f"n{number}", assurance=assurance)
    received = await mail_of(native, 3)
    assert [each.message.assurance for each in received] == [PROVED, WEAK, None]
    assert all(each.verified for each in received)


async def test_who_is_weakly_verified_is_told_in_words_once_in_a_conversation(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    for number in range(3):
        await paper.write(BOB, native.name, f"{number}", f"n{number}", assurance=WEAK)
    texts = [each.message.text or "" for each in await mail_of(native, 3)]
    first, *others = texts
    assert first.endswith(f"the gateway can read it. {REASON}")
    assert others == ["1", "2"]
    other = await house.native("other.eth", "carol")
    await paper.write(BOB, EnsName("other.eth"), "hello", "n9", assurance=WEAK)
    (elsewhere,) = await mail_of(other)
    assert REASON in (elsewhere.message.text or ""), "another conversation"


async def test_a_sender_who_was_proved_and_is_not_any_more(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    """The first words of a conversation are easily proved; what comes later is looked at just as well."""
    for number, assurance in enumerate((PROVED, WEAK, PROVED, WEAK)):
        await paper.write(BOB, native.name, f"{number}", f"n{number}", assurance=assurance)
    first, *others = [each.message.text or "" for each in await mail_of(native, 4)]
    assert REASON not in first
    assert others == [f"1\n\n-- \n{REASON}", "2", "3"]
