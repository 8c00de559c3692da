"""Rules of recipients are read before anything is sent, and people are told which one stops them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.bridge.jobs import conversation
from gateway.dm3.canonical import JsonObject
from gateway.dm3.envelope import Envelope
from gateway.dm3.sender_rules import SenderRules
from gateway.ens.unmet import RuleKind, Unmet
from gateway.errors import ChainUnavailable, Spam, Unavailable, UnknownRecipient
from gateway.ids import EnsName, EthAddress, NativeId
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.service import DeliveryService
from gateway.sdk import DeliveryState, MessageType, StatusReport
from gateway.store.identities import IdentityNamed
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.messagemap import ConversationKnown
from gateway.store.status import Status, StatusOf
from tests.integration.bridge.scripted import (
    BOB,
    BOB_NAME,
    ScriptedService,
    outbound_of,
    person_at,
    publish_service,
    refusal,
)
from tests.support.adapters import PaperAdapter
from tests.support.house import House
from tests.support.waiting import mail_of, until

RICH: JsonObject = {"spamFilterRules": {"minBalance": "100000000000000000"}}
POOR = Unmet(RuleKind.BALANCE, 10**17, 0)
IDLE = Unmet(RuleKind.NONCE, 3, 0)


@dataclass
class Books:
    """A chain that knows what a test says: what every sender lacks."""

    lacking: tuple[Unmet, ...] = ()
    error: Exception | None = None
    asked: list[tuple[EthAddress, SenderRules]] = field(default_factory=list)

    async def unmet(self, address: EthAddress, rules: SenderRules) -> tuple[Unmet, ...]:
        """As told."""
        self.asked.append((address, rules))
        if self.error is not None:
            raise self.error
        return self.lacking


@pytest.fixture
def books(house: House) -> Books:
    made = Books()
    outbound_of(house)._standing = made
    return made


async def status_of(house: House, recipient: EnsName, native_id: str = "n1") -> Status:
    async def look() -> Status | None:
        return await house.gateway.store.read(StatusOf(PaperAdapter.name, NativeId(native_id), recipient))

    return await until(look)


async def heard_of(house: House, other: EnsName) -> None:
    """Until a message of theirs to our person was delivered, and that was written down."""

    async def look() -> bool | None:
        talk = conversation(BOB_NAME, other)
        return await house.gateway.store.read(ConversationKnown(PaperAdapter.name, talk, outbound=False)) or None

    await until(look)


@pytest.mark.weakness(10)
async def test_an_unmet_rule_is_told_and_the_service_left_alone(
    house: House, paper: PaperAdapter, books: Books
) -> None:
    books.lacking = (POOR, IDLE)
    service = ScriptedService(extension=RICH)
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert all(
            word in report.reason for word in (carol.name, BOB_NAME, *(each.sentence for each in books.lacking))
        ), report.reason
        found = await status_of(house, carol.name)
        assert (found.state, found.reason) == (DeliveryState.FAILED, report.reason.partition(" [trace ")[0])
        assert service.taken == []
        bob = await house.gateway.store.read(IdentityNamed(BOB_NAME))
        assert bob is not None
        assert books.asked == [(bob.address, SenderRules(min_balance=10**17))]


async def test_who_was_written_to_may_be_allowed_and_is_not_stopped_here(
    house: House, paper: PaperAdapter, books: Books
) -> None:
    """Allow lists of others cannot be seen; when the service refuses all the same, the rule is told."""
    books.lacking = (POOR,)
    refused = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32010, "message": "spam"}}
    service = ScriptedService(extension=RICH, answers=[(200, "OK"), (200, "OK"), (403, refused)])
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "cold", "n0")
        await paper.wait_report(DeliveryState.FAILED)
        await carol.send(BOB_NAME, "hello")
        await heard_of(house, carol.name)
        await paper.write(BOB, carol.name, "an answer", "n1")
        await service.wait_taken(2)  # the receipt and the answer
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT
        await paper.write(BOB, carol.name, "another", "n2")
        await service.wait_taken(3)

        async def look() -> str | None:
            found = await status_of(house, carol.name, "n2")
            return found.reason if found.state == DeliveryState.FAILED else None

        assert POOR.sentence in await until(look)


async def test_met_rules_let_it_through(house: House, paper: PaperAdapter, books: Books) -> None:
    service = ScriptedService(extension=RICH)
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        await service.wait_taken(1)
        assert len(books.asked) == 1
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT


@pytest.mark.parametrize(
    "extension",
    [
        {},
        {"spamFilterRules": {}},
        {"spamFilterRules": {"messageRequests": True}},
        {"spamFilterRules": {"minNonce": "x"}},
    ],
    ids=str,
)
async def test_without_readable_rules_the_chain_is_not_asked(
    house: House, paper: PaperAdapter, books: Books, extension: dict[str, Any]
) -> None:
    books.lacking = (POOR,)
    service = ScriptedService(extension=extension)
    async with service.at(house.chain, "free.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        await service.wait_taken(1)
        assert books.asked == []


async def test_when_the_chain_does_not_answer_the_service_decides(
    house: House, paper: PaperAdapter, books: Books
) -> None:
    books.error = ChainUnavailable("down")
    service = ScriptedService(extension=RICH, answers=[(403, refusal(-32010, "too poor"))])
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert 'It said: "too poor"' in report.reason
        assert len(service.taken) == 1


async def test_a_chain_that_hangs_does_not_hold_up_the_message(
    house: House, paper: PaperAdapter, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bridge.outbound.STANDING_SECONDS", 0.05)

    async def never(address: EthAddress, rules: SenderRules) -> tuple[Unmet, ...]:
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(books, "unmet", never)
    service = ScriptedService(extension=RICH)
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        await service.wait_taken(1)
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT


# --- which service --------------------------------------------------------------------------------------------------


@pytest.mark.weakness(19)
@pytest.mark.parametrize(
    ("script", "tried"),
    [
        ({"extension": RICH}, 0),
        ({"properties": {"sizeLimit": 1000}}, 0),
        ({"answers": ((403, refusal(-32010)),)}, 1),
        ({"answers": ((404, refusal(-32001)),)}, 1),
        ({"answers": ((400, ""), (400, ""))}, 2),
    ],
    ids=["rules", "size", "spam", "unknown", "bare"],
)
async def test_a_service_that_would_refuse_is_passed_over_for_the_next(
    house: House, paper: PaperAdapter, books: Books, script: dict[str, Any], tried: int
) -> None:
    books.lacking = (POOR,)
    first = ScriptedService(**{**script, "answers": list(script.get("answers", ()))})
    second, third = ScriptedService(), ScriptedService()
    async with (
        first.at(house.chain, "first.eth") as one,
        second.at(house.chain, "second.eth") as two,
        third.at(house.chain, "third.eth") as three,
    ):
        carol = await person_at(house, one, two, three)
        await paper.write(BOB, carol.name, "hello", "n1")
        await second.wait_taken(1)
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT
        assert (len(first.taken), third.taken) == (tried, [])
        assert paper.reports == []


async def test_when_none_remains_the_first_reason_is_told(house: House, paper: PaperAdapter, books: Books) -> None:
    books.lacking = (POOR,)
    first, second = ScriptedService(extension=RICH), ScriptedService(answers=[(403, refusal(-32010, "second"))])
    async with first.at(house.chain, "first.eth") as one, second.at(house.chain, "second.eth") as two:
        carol = await person_at(house, one, two)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert POOR.sentence in report.reason
        assert "second" not in report.reason
        assert len(second.taken) == 1


async def test_a_service_that_may_still_answer_keeps_the_message_alive(
    house: House, paper: PaperAdapter, books: Books
) -> None:
    """One refuses for good, the other one is down: the message is not lost yet."""
    books.lacking = (POOR,)
    first, second = ScriptedService(extension=RICH), ScriptedService(answers=[(503, "")] * 3)
    async with first.at(house.chain, "first.eth") as one, second.at(house.chain, "second.eth") as two:
        carol = await person_at(house, one, two)
        await paper.write(BOB, carol.name, "hello", "n1")
        await second.wait_taken(4)
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT
        assert paper.reports == []


# --- message requests -----------------------------------------------------------------------------------------------


async def test_a_first_message_that_waits_to_be_let_in_is_sent_and_said_so(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(extension={"spamFilterRules": {"messageRequests": True}})
    async with service.at(house.chain, "shy.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.SENT)
        assert report == StatusReport(
            native_id=NativeId("n1"),
            sender=report.sender,
            recipient=carol.name,
            state=DeliveryState.SENT,
            reason=report.reason,
        )
        assert "decides first" in report.reason
        assert (await status_of(house, carol.name)).reason == report.reason
        await paper.write(BOB, carol.name, "again", "n2")
        second = await status_of(house, carol.name, "n2")
        assert (second.state, second.reason) == (DeliveryState.SENT, ""), "said once"
        assert len(paper.reports) == 1


async def test_who_has_written_to_us_is_not_said_to_decide(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(extension={"spamFilterRules": {"messageRequests": True}})
    async with service.at(house.chain, "shy.eth") as name:
        native = await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n0")
        carol = await person_at(house, name)
        await mail_of(native)
        await carol.send(BOB_NAME, "good day")
        await paper.wait_delivered(1)
        await paper.write(BOB, carol.name, "good day to you", "n1")
        found = await status_of(house, carol.name)
        assert (found.state, found.reason) == (DeliveryState.SENT, "")


async def test_a_database_that_fails_for_a_moment_does_not_send_it_twice(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that can fail comes between a service's yes and the end of the job."""
    look_up, failures = house.gateway.store.look_up, [1]

    async def fail_once(query: Any) -> Any:
        if isinstance(query, ConversationKnown) and query.outbound is None and failures:
            failures.pop()
            raise Unavailable("for a moment")
        return await look_up(query)

    monkeypatch.setattr(house.gateway.store, "look_up", fail_once)
    rules = {"spamFilterRules": {"messageRequests": True}}
    first, second = ScriptedService(extension=rules), ScriptedService(extension=rules)
    async with first.at(house.chain, "first.eth") as one, second.at(house.chain, "second.eth") as two:
        carol = await person_at(house, one, two)
        await paper.write(BOB, carol.name, "hello", "n1")
        assert (await status_of(house, carol.name)).state == DeliveryState.SENT
        assert failures == []
        assert len(first.taken) + len(second.taken) == 1


# --- our own relay --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judge:
    """Our relay with another extension, and a refusal when it has one."""

    relay: DeliveryService
    announced: JsonObject
    refusal: Exception | None = None

    async def extension(self, name: EnsName) -> JsonObject:
        """What a test wants it to be; names are still checked."""
        return {**await self.relay.extension(name), **self.announced}

    async def prepare(self, envelope: Envelope) -> AcceptEnvelope:
        """Refuse or take."""
        if self.refusal is not None:
            raise self.refusal
        return await self.relay.prepare(envelope)

    def accepted(self, op: AcceptEnvelope) -> None:
        """Pass it on."""
        self.relay.accepted(op)


def judged_by(house: House, announced: JsonObject, refusal: Exception | None = None) -> None:
    """Our relay announces and refuses this from now on."""
    outbound = outbound_of(house)
    relay = outbound._local.relay
    if isinstance(relay, Judge):
        relay = relay.relay
    assert isinstance(relay, DeliveryService)
    outbound._local = replace(outbound._local, relay=Judge(relay, announced, refusal))


async def test_our_own_relay_is_asked_the_same(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    judged_by(house, {"supportedMessageTypes": ["NEW"], "maxAttachmentBytes": 0})
    await paper.write(BOB, native.name, "helo", "n0")
    await paper.write(BOB, native.name, "hello", "n1", type=MessageType.EDIT, reference="n0")
    await paper.write(BOB, native.name, "", "n2", type=MessageType.READ_OPENED, reference="n0")
    await paper.write(BOB, native.name, "end", "n3")
    first, second, third = await mail_of(native, 3)
    assert (second.message.text, second.message.reference) == ("Correction: hello", first.message_hash)
    assert third.message.text == "end"
    assert second.verified


async def test_our_own_relay_applies_rules_itself_and_they_are_told(
    house: House, paper: PaperAdapter, native: Dm3Client, books: Books
) -> None:
    """Its lists of people to let in are nobody else's to see: only a refusal counts."""
    books.lacking = (POOR,)
    judged_by(house, RICH)
    await paper.write(BOB, native.name, "hello", "n1")
    await mail_of(native)
    assert books.asked == []
    judged_by(house, RICH, Spam("a rule"))
    await paper.write(BOB, native.name, "again", "n2")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert POOR.sentence in report.reason


async def test_a_refusal_of_our_own_relay_that_no_rule_explains(
    house: House, paper: PaperAdapter, native: Dm3Client, books: Books
) -> None:
    judged_by(house, RICH, Spam("blocked"))
    await paper.write(BOB, native.name, "hello", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert report.reason.partition(" [trace ")[0] == Spam.sentence


async def test_a_profile_that_names_us_without_being_ours_is_still_refused(house: House, paper: PaperAdapter) -> None:
    judged_by(house, {}, UnknownRecipient("elsewhere"))
    second = ScriptedService()
    async with second.at(house.chain, "second.eth") as two:
        carol = await person_at(house, house.gateway.service_name, two)
        await paper.write(BOB, carol.name, "hello", "n1")
        await second.wait_taken(1)


async def test_bridged_people_of_ours_have_limits_too(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    """The real extension of a bridged person, asked without HTTP."""
    await paper.write("ann@example.net", native.name, "hello", "a0")
    await mail_of(native)
    extension = await outbound_of(house)._local.relay.extension(EnsName("ann.example.net.paper.gw.eth"))
    assert extension["maxAttachmentBytes"] == paper.capabilities.max_attachment_bytes
    with pytest.raises(UnknownRecipient):
        await outbound_of(house)._local.relay.extension(EnsName("nobody.eth"))


async def test_a_dead_first_service_is_no_reason_when_the_second_one_refuses_for_good(
    house: House, paper: PaperAdapter, books: Books
) -> None:
    """As long as one may still take it, nothing is said."""
    books.lacking = (POOR,)
    second = ScriptedService(extension=RICH)
    async with second.at(house.chain, "second.eth") as two:
        await publish_service(house.chain, "dead.eth", "http://127.0.0.1:9")
        carol = await person_at(house, "dead.eth", two)
        await paper.write(BOB, carol.name, "hello", "n1")

        async def asked_again() -> bool | None:
            return len(books.asked) >= 2 or None

        await until(asked_again)
        assert paper.reports == []
