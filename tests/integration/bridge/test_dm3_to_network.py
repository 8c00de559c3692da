"""Envelopes for bridged people on their way into their network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway import traces
from gateway.bridge.jobs import JobKind
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.dm3.canonical import stringify
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.errors import InvalidInput
from gateway.ids import CanonicalId, EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import Delivery, DeliveryState, Outcome, Rejected, Retry
from gateway.store.identities import IdentityNamed, RotateIdentity, ShredIdentity
from gateway.store.jobs import JobState
from gateway.store.mailbox import CountMailbox
from gateway.store.queue import QueueList
from gateway.work import worker
from tests.integration.relay.envelopes import keys_of
from tests.support.adapters import PaperAdapter
from tests.support.house import House, rpc, running_house
from tests.support.waiting import mail_of, until

BOB = "bob@example.org"
BOB_NAME = EnsName("bob.example.org.paper.gw.eth")


@pytest.fixture
async def acquainted(house: House, paper: PaperAdapter, native: Dm3Client) -> Dm3Client:
    """Bob has written first, so he has a name."""
    await paper.write(BOB, native.name, "hello", "n1")
    (received,) = await mail_of(native)
    await native.acknowledge(received)
    return native


async def test_a_message_is_delivered_and_leaves_the_cache(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    sent = await acquainted.send(BOB_NAME, "good day")
    (delivery,) = await paper.wait_delivered(1)
    assert (delivery.recipient, delivery.recipient_name, delivery.sender) == (BOB, BOB_NAME, acquainted.name)
    assert (delivery.text, delivery.type, delivery.verified) == ("good day", MessageType.NEW, True)
    assert delivery.message_hash == sent.message_hash
    (receipt,) = await mail_of(acquainted, kind=MessageType.READ_RECEIVED)
    assert receipt.message.reference == sent.message_hash
    assert receipt.verified
    identity = await house.gateway.store.read(IdentityNamed(BOB_NAME))
    assert identity is not None
    assert await house.gateway.store.read(CountMailbox(identity.address)) == 0


@pytest.mark.weakness(7)
@pytest.mark.attack(4)
async def test_the_same_envelope_a_hundred_times_is_delivered_once(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    """A hundred at once, and as many when the network has it already."""
    identity = await house.gateway.store.read(IdentityNamed(BOB_NAME))
    assert identity is not None
    keys = keys_of(house, "native")
    message = sign_message(
        Message(to=BOB_NAME, from_=acquainted.name, type=MessageType.NEW, timestamp=now_ms(), text="once"), keys.signing
    )
    profile = (await house.gateway.directory.user(BOB_NAME)).profile
    service = house.gateway.service_profile.public_encryption_key
    text = canonical_envelope(seal(message, profile.public_encryption_key, service, keys.signing))
    for _ in range(2):
        answers = await asyncio.gather(*(rpc(house, "dm3_submitMessage", text) for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        await paper.wait_delivered(1)
    await acquainted.send(BOB_NAME, "and another")
    await paper.wait_delivered(2)
    assert [each.text for each in paper.tries] == ["once", "and another"]
    assert len(await mail_of(acquainted, 2, kind=MessageType.READ_RECEIVED)) == 2
    assert await house.gateway.store.read(CountMailbox(identity.address)) == 0


async def test_a_bridged_mailbox_cannot_be_picked_up(house: House, acquainted: Dm3Client, paper: PaperAdapter) -> None:
    """Nobody logs in as a bridged person: only the gateway has the key."""
    paper.script.extend([Retry("later")] * 3)
    await acquainted.send(BOB_NAME, "good day")
    answer = await house.http.get(f"{house.url}/ds/delivery/messages/incoming/{BOB_NAME}")
    assert answer.status_code == 401


async def test_first_marks_the_first_message_of_a_conversation(house: House, paper: PaperAdapter) -> None:
    alice, carol = await house.native("alice.eth", "alice"), await house.native("carol.eth", "carol")
    await paper.write(BOB, alice.name, "hello", "n1")
    await mail_of(alice)
    for sender in (alice, alice, carol, carol):
        await sender.send(BOB_NAME, "good day")
    deliveries = await paper.wait_delivered(4)
    assert [each.first for each in deliveries if each.sender == alice.name] == [True, False]
    assert [each.first for each in deliveries if each.sender == carol.name] == [True, False]


async def test_what_the_network_cannot_show_is_degraded_not_dropped(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    first = await acquainted.send(BOB_NAME, "good day")
    for kind, text in ((MessageType.EDIT, "good evening"), (MessageType.REACTION, "\U0001f44d")):
        await acquainted.send(BOB_NAME, text, kind=kind, reference=first.message_hash)
    await acquainted.send(BOB_NAME, "", kind=MessageType.DELETE_REQUEST, reference=first.message_hash)
    deliveries = await paper.wait_delivered(4)
    assert [each.text for each in deliveries] == [
        "good day",
        "Correction: good evening",
        "Reacted with \U0001f44d",
        "Asked you to delete an earlier message.",
    ]
    assert {each.type for each in deliveries} == {MessageType.NEW}


async def test_retry_keeps_the_order(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    paper.script.extend([Retry("busy"), Retry("busy", after=0.01), RuntimeError("a bug"), ConnectionError()])
    for number in range(5):
        await acquainted.send(BOB_NAME, f"{number}")
    deliveries = await paper.wait_delivered(5)
    assert [each.text for each in deliveries] == ["0", "1", "2", "3", "4"]
    assert [each.text for each in paper.tries[:5]] == ["0"] * 5
    assert len({each.key for each in paper.tries[:5]}) == 1, "a retry has the same key"


async def test_a_waiting_conversation_does_not_hold_up_another(house: House, paper: PaperAdapter) -> None:
    alice, carol = await house.native("alice.eth", "alice"), await house.native("carol.eth", "carol")
    await paper.write(BOB, alice.name, "hello", "n1")
    await mail_of(alice)
    paper.script.append(Retry("later", after=60))
    await alice.send(BOB_NAME, "waits")
    await paper.wait_tries(1)
    await carol.send(BOB_NAME, "passes")
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "passes"


async def test_a_rejection_is_told_to_a_native_sender(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    paper.script.append(Rejected("the mailbox is full"))
    sent = await acquainted.send(BOB_NAME, "good day")
    (notice,) = await mail_of(acquainted, kind=MessageType.REPLY)
    assert notice.sender == BOB_NAME
    assert notice.message.reference == sent.message_hash
    told = "[gateway] Your message did not reach bob@example.org: the mailbox is full"
    assert notice.message.text == f"{told} [trace {traces.of_envelope(sent.message_hash)}]"
    assert paper.delivered == []


async def test_a_job_that_always_raises_is_set_aside_and_the_lane_goes_on(
    house: House, paper: PaperAdapter, acquainted: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_SURPRISES", 2)
    paper.script.extend([RuntimeError("a bug")] * 3)
    await acquainted.send(BOB_NAME, "poison")
    await acquainted.send(BOB_NAME, "fine")
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "fine"
    (held,) = await house.gateway.store.read(QueueList(JobState.HOLD, 10))
    assert held.reason == "raised RuntimeError"


# --- forged and damaged ---------------------------------------------------------------------------------------------


async def test_a_message_of_somebody_else_in_an_envelope_of_one_s_own_is_refused(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    """Mallory signs the envelope truthfully; the message inside was signed by native.eth for another recipient."""
    mallory = await house.native("mallory.eth", "mallory")
    victim, own = keys_of(house, "native"), keys_of(house, "mallory")
    stolen = sign_message(
        Message(to="alice.eth", from_="native.eth", type=MessageType.NEW, timestamp=1, text="stolen"), victim.signing
    )
    await _submit(house, mallory, stolen, own.signing)
    assert paper.delivered == []
    (notice,) = await mail_of(mallory, kind=MessageType.REPLY)
    assert "does not fit its envelope" in (notice.message.text or "")


async def test_a_message_with_a_wrong_signature_is_refused(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    mallory = await house.native("mallory.eth", "mallory")
    own = keys_of(house, "mallory")
    draft = Message(to=BOB_NAME, from_=mallory.name, type=MessageType.NEW, timestamp=1, text="x")
    wrong = sign_message(draft, keys_of(house, "alice").signing)
    await _submit(house, mallory, wrong, own.signing)
    (notice,) = await mail_of(mallory, kind=MessageType.REPLY)
    assert "signature" in (notice.message.text or "")
    assert paper.tries == []


async def test_content_that_cannot_be_opened_is_told_to_its_sender(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    mallory = await house.native("mallory.eth", "mallory")
    own = keys_of(house, "mallory")
    draft = Message(to=BOB_NAME, from_=mallory.name, type=MessageType.NEW, timestamp=1, text="x")
    await _submit(house, mallory, sign_message(draft, own.signing), own.signing, key=own.encryption.public)
    (notice,) = await mail_of(mallory, kind=MessageType.REPLY)
    assert "could not be opened" in (notice.message.text or "")


async def _submit(house: House, sender: Dm3Client, message: Message, signing: object, key: bytes | None = None) -> None:
    """An envelope by `sender` for Bob around any message."""
    bob = await house.profiles.user(BOB_NAME)
    shell = Message(to=BOB_NAME, from_=sender.name, type=message.type, timestamp=message.timestamp)
    service = house.gateway.service_profile.public_encryption_key
    inner = seal(message, key or bob.profile.public_encryption_key, service, signing)  # type: ignore[arg-type]
    outer = seal(shell, bob.profile.public_encryption_key, service, signing)  # type: ignore[arg-type]
    # The delivery information of the outer with the sealed message of the inner; both are the sender's to combine.
    answer = await rpc(
        house, "dm3_submitMessage", stringify({"message": inner.message, "metadata": outer.metadata.raw})
    )
    assert answer.status_code == 200, answer.text
    assert canonical_envelope(inner) != canonical_envelope(outer)


async def test_mail_for_somebody_who_was_deleted_is_dropped(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    paper.script.append(Retry("later"))
    await acquainted.send(BOB_NAME, "good day")
    await paper.wait_tries(1)
    identity = await house.gateway.store.read(IdentityNamed(BOB_NAME))
    assert identity is not None
    await house.gateway.store.commit(ShredIdentity(identity.id, now_ms(), "tombstone"))

    async def empty() -> bool | None:
        return not await house.gateway.store.read(QueueList(JobState.READY, 10)) or None

    assert await until(empty)
    assert paper.delivered == []


async def test_mail_that_was_not_taken_in_time_is_told(tmp_path: Path) -> None:
    shift, paper = 0, PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, clock=lambda: now_ms() + shift) as house:
        native = await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await native.acknowledge(*await mail_of(native))
        paper.script.append(Retry("the network is down"))
        sent = await native.send(BOB_NAME, "good day")
        await paper.wait_tries(1)
        shift = 31 * 24 * 3600 * 1000
        (notice,) = await mail_of(native, kind=MessageType.REPLY)
        assert notice.message.reference == sent.message_hash
        assert "in time" in (notice.message.text or "")
        assert "the network is down" in (notice.message.text or "")


# --- network to network ---------------------------------------------------------------------------------------------


async def test_bridged_people_reach_each_other(house: House, paper: PaperAdapter) -> None:
    """An envelope to ourselves; each side sees the other's name."""
    native = await house.native("native.eth")
    await paper.write("ann@example.net", native.name, "hello", "a1")
    await mail_of(native)
    ann = EnsName("ann.example.net.paper.gw.eth")
    await paper.write(BOB, ann, "hello Ann", "n1")
    (delivery,) = await paper.wait_delivered(1)
    assert (delivery.recipient, delivery.sender) == ("ann@example.net", BOB_NAME)
    assert delivery.text.startswith("hello Ann")
    report = await paper.wait_report(DeliveryState.DELIVERED)
    assert (report.native_id, report.sender, report.recipient) == ("n1", BOB, ann)
    await paper.write(
        "ann@example.net", BOB_NAME, "hello Bob", "a2", type=MessageType.REPLY, reference=f"paper-{delivery.key[:16]}"
    )
    second = (await paper.wait_delivered(2))[1]
    assert second.reference is not None
    assert second.reference.native_id == "n1"


async def test_a_rejection_is_reported_to_a_bridged_sender(house: House, paper: PaperAdapter) -> None:
    native = await house.native("native.eth")
    await paper.write("ann@example.net", native.name, "hello", "a1")
    await mail_of(native)
    paper.script.append(Rejected("she has moved"))
    await paper.write(BOB, EnsName("ann.example.net.paper.gw.eth"), "hello Ann", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert (report.native_id, report.reason.partition(" [trace ")[0]) == ("n1", "she has moved")
    assert len(paper.tries) == 1, "no notice is sent into the network"


@pytest.mark.attack(46)
async def test_automatic_messages_do_not_cross_from_network_to_network(house: House, paper: PaperAdapter) -> None:
    """Two auto-responders cannot talk to each other through us."""
    native = await house.native("native.eth")
    await paper.write("ann@example.net", native.name, "hello", "a1")
    await mail_of(native)
    await paper.write(BOB, EnsName("ann.example.net.paper.gw.eth"), "out of office", "n1", automatic=True)
    report = await paper.wait_report(DeliveryState.FAILED)
    assert report.automatic
    await asyncio.sleep(0)
    assert paper.tries == []


async def test_that_a_message_came_back_is_told_to_people_of_other_networks(house: House, paper: PaperAdapter) -> None:
    """A server that sends a message back later: its writer hears of it, and what is said is answered by nobody."""
    native = await house.native("native.eth")
    await paper.write("ann@example.net", native.name, "hello", "a1")
    await paper.write(BOB, native.name, "hello", "b1")
    await mail_of(native, 2)
    await paper.write(
        BOB, EnsName("ann.example.net.paper.gw.eth"), "[gateway] Your message came back", "n1", automatic=True
    )
    (told,) = await paper.wait_delivered(1)
    assert (told.recipient, told.automatic) == ("ann@example.net", True)


async def test_a_server_may_refuse_before_it_is_noted_what_it_refuses(
    house: House, paper: PaperAdapter, acquainted: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is looked at while the delivery is still under way: it waits, and is an answer to the message."""
    deliver = paper.deliver

    async def tried_once() -> bool | None:
        waiting = await house.gateway.store.read(QueueList(JobState.READY, 10))
        return any(job.kind == JobKind.OUTBOUND and job.attempts == 1 for job in waiting) or None

    async def refused_at_once(delivery: Delivery) -> Outcome:
        outcome = await deliver(delivery)
        about = f"paper-{delivery.key[:16]}"
        words = "[gateway] Your message came back"
        await paper.write(BOB, acquainted.name, words, "n2", type=MessageType.REPLY, reference=about, automatic=True)
        await until(tried_once)
        return outcome

    monkeypatch.setattr(paper, "deliver", refused_at_once)
    sent = await acquainted.send(BOB_NAME, "good day")
    (told,) = await mail_of(acquainted, kind=MessageType.REPLY)
    assert told.message.reference == sent.message_hash
    assert f"came back [trace {traces.of_envelope(sent.message_hash)}]" in str(told.message.text)


# --- nothing goes round in circles ----------------------------------------------------------------------------------


async def test_a_notice_is_never_answered(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    """Two gateways that cannot deliver each other's notices must fall silent."""
    paper.script.extend([Rejected("gone")] * 5)
    await acquainted.send(BOB_NAME, "[gateway] Your message did not reach ann@example.net: gone")
    (tried,) = await paper.wait_tries(1)
    assert tried.automatic, "the network can mark it as written by a machine"
    await acquainted.send(BOB_NAME, "by hand")
    (notice,) = await mail_of(acquainted, kind=MessageType.REPLY)
    assert notice.message.reference != tried.message_hash
    assert len(paper.tries) == 2


async def test_a_notice_is_delivered_without_a_receipt(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    await acquainted.send(BOB_NAME, "[gateway] something")
    sent = await acquainted.send(BOB_NAME, "by hand")
    await paper.wait_delivered(2)
    (receipt,) = await mail_of(acquainted, kind=MessageType.READ_RECEIVED)
    assert receipt.message.reference == sent.message_hash


@pytest.mark.attack(59)
async def test_a_native_person_who_writes_first_is_told_that_it_is_bridged(house: House, paper: PaperAdapter) -> None:
    """Bob's name was published by somebody else's conversation; Carol finds it and writes first."""
    native, carol = await house.native("native.eth"), await house.native("carol.eth", "carol")
    await paper.write(BOB, native.name, "hello", "n1")
    await mail_of(native)
    await carol.send(BOB_NAME, "good day")
    await paper.wait_delivered(1)
    await paper.write(BOB, carol.name, "good day to you", "n2")
    (answer,) = await mail_of(carol)
    assert "not end-to-end" in (answer.message.text or "")


# --- people change --------------------------------------------------------------------------------------------------


async def test_mail_under_way_survives_a_rotation(house: House, paper: PaperAdapter, acquainted: Dm3Client) -> None:
    paper.script.append(Retry("later", after=0.5))
    await acquainted.send(BOB_NAME, "written to the old key")
    await paper.wait_tries(1)
    store = house.gateway.store
    identity = await store.read(IdentityNamed(BOB_NAME))
    assert identity is not None
    keyring = Keyring(
        load_seed(house.settings.custody.seed_file), delivery_services=(house.gateway.service_name,), max_ttl_ms=10**9
    )
    rotation = keyring.rotation(identity)
    await store.commit(RotateIdentity(identity.id, rotation.epoch, rotation.address, now_ms()))
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.text == "written to the old key"


async def test_somebody_who_was_deleted_is_refused_and_not_swallowed(
    house: House, paper: PaperAdapter, acquainted: Dm3Client
) -> None:
    await paper.ctx.people.delete(CanonicalId(BOB))
    with pytest.raises(InvalidInput, match="deleted"):
        await paper.write(BOB, acquainted.name, "hello again", "n9")
