"""Each check of the conformance kit fails for an adapter that breaks its promise: a kit that never fails is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from gateway.sdk import (
    Capabilities,
    Delivered,
    Delivery,
    EnsName,
    GatewayError,
    MessageType,
    NativeId,
    Network,
    Outcome,
    Outgoing,
    Person,
    Rejected,
    Retry,
)
from gateway.sdk.testing import MemoryContext, check_conformance, conformance
from tests.unit.sdk.example_adapter import ExampleAdapter, ExampleSettings
from tests.unit.sdk.test_example_adapter import ExamplePeer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here is in one process: what has not come at once never comes."""
    monkeypatch.setattr(conformance, "PATIENCE", 0.05)


class ForgetfulPeer(ExamplePeer):
    """A network that says yes to everything, whatever the gateway said."""

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        try:
            await super().send(recipient, text, native_id)
        except GatewayError:
            return


class RenumberingPeer(ExamplePeer):
    """A network whose repeats look like new events."""

    count = 0

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        self.count += 1
        await super().send(recipient, text, NativeId(f"{native_id}-{self.count}"))


class DeafPeer(ExamplePeer):
    """A network that shows nothing."""

    async def received(self) -> Sequence[str]:
        return ()


class BackwardPeer(ExamplePeer):
    """A network that claims order and has none."""

    async def received(self) -> Sequence[str]:
        return tuple(reversed(await super().received()))


class OtherSender(ExampleAdapter):
    """Takes messages in somebody else's name."""

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        await super().write(replace(person, canonical_id="eve"), recipient, text, native_id, sent_at)  # type: ignore[arg-type]


class WithoutTime(ExampleAdapter):
    """Does not say when messages were sent."""

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        await super().write(person, recipient, text, native_id, 0)


class WithoutText(ExampleAdapter):
    """Loses what was written."""

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        await super().write(person, recipient, "", native_id, sent_at)


class Misdirecting(ExampleAdapter):
    """Writes to somebody else."""

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        await super().write(person, EnsName("eve.eth"), text, native_id, sent_at)


class NamesNothing(ExampleAdapter):
    """Says Delivered without an id."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        outcome = await super().deliver(delivery)
        return Delivered(NativeId("")) if isinstance(outcome, Delivered) else outcome


class RejectsRepeats(ExampleAdapter):
    """Claims idempotency and refuses the second try."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        if delivery.key in self.rooms.texts[delivery.recipient]:
            return Rejected("had it")
        return await super().deliver(delivery)


class Doubling(ExampleAdapter):
    """Claims idempotency and shows repeats again."""

    count = 0

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.count += 1
        return await super().deliver(replace(delivery, key=f"{self.count}"))


class WaitsForReferences(ExampleAdapter):
    """Retries for ever when it does not know what a message is about."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        return Retry("unknown") if delivery.reference else await super().deliver(delivery)


class Fragile(ExampleAdapter):
    """Stumbles over what people write."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        return Retry("odd text") if "\x00" in delivery.text else await super().deliver(delivery)


class Swallowing(ExampleAdapter):
    """Says yes while the gateway says no."""

    async def write(self, person: Person, recipient: EnsName, text: str, native_id: NativeId, sent_at: int) -> None:
        try:
            await super().write(person, recipient, text, native_id, sent_at)
        except GatewayError:
            return


class Restless(ExampleAdapter):
    """Its run ends."""

    async def run(self) -> None:
        return


class BadName(ExampleAdapter):
    """Cannot be a zone label."""

    name: ClassVar[Network] = Network("Ex-ample")


class Wordless(ExampleAdapter):
    """Declares that it carries no text."""

    capabilities: ClassVar[Capabilities] = replace(ExampleAdapter.capabilities, max_text=0)


class WithoutNew(ExampleAdapter):
    """Declares that it has no ordinary messages."""

    capabilities: ClassVar[Capabilities] = replace(ExampleAdapter.capabilities, types=frozenset({MessageType.REACTION}))


@pytest.mark.parametrize(
    ("adapter", "peer", "sentence"),
    [
        (BadName, ExamplePeer, "name must be"),
        (Wordless, ExamplePeer, "max_text must be positive"),
        (WithoutNew, ExamplePeer, "every network carries NEW"),
        (OtherSender, ExamplePeer, "sender must be the canonical id"),
        (WithoutTime, ExamplePeer, "sent_at must be set"),
        (WithoutText, ExamplePeer, "the text must be there"),
        (Misdirecting, ExamplePeer, "recipient must be the ENS name"),
        (Swallowing, ExamplePeer, "must survive a fault"),
        (ExampleAdapter, ForgetfulPeer, "must survive a fault"),
        (ExampleAdapter, RenumberingPeer, "same native_id"),
        (ExampleAdapter, DeafPeer, "4 messages must arrive"),
        (ExampleAdapter, BackwardPeer, "order and number"),
        (NamesNothing, ExamplePeer, "no Delivered with an id"),
        (RejectsRepeats, ExamplePeer, "repeated delivery must be Delivered"),
        (Doubling, ExamplePeer, "order and number"),
        (WaitsForReferences, ExamplePeer, "must not wait for ever"),
        (Fragile, ExamplePeer, "ended as Retry"),
        (Restless, ExamplePeer, "run\\(\\) ended"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_broken_promise_is_caught(
    adapter: type[ExampleAdapter], peer: type[ExamplePeer], sentence: str
) -> None:
    broken = adapter(ExampleSettings())
    with pytest.raises(AssertionError, match=sentence):
        await check_conformance(broken, MemoryContext(network=broken.name), peer(broken))


async def test_an_adapter_is_closed_after_a_failed_check() -> None:
    class Counting(Restless):
        closed = 0

        async def close(self) -> None:
            self.closed += 1
            await super().close()

    broken = Counting(ExampleSettings())
    with pytest.raises(AssertionError):
        await check_conformance(broken, MemoryContext(network=broken.name), ExamplePeer(broken))
    assert broken.closed == 2


def test_samples_differ_by_number_only() -> None:
    peer = ExamplePeer(ExampleAdapter(ExampleSettings()))
    first, second = (conformance.sample_delivery(peer, number) for number in (1, 2))
    assert first == conformance.sample_delivery(peer, 1)
    assert first.key != second.key
    assert first.message_hash != second.message_hash


def test_outgoing_defaults_to_a_plain_message() -> None:
    message = Outgoing(
        sender=Person("bob"),  # type: ignore[arg-type]
        recipient=EnsName("alice.eth"),
        native_id=NativeId("1"),
        sent_at=1,
    )
    assert (message.type, message.attachments, message.reference, message.automatic) == (
        MessageType.NEW,
        (),
        None,
        False,
    )
