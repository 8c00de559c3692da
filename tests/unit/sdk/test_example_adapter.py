"""The example adapter of adapters/README.md: short, shown whole, and conforming."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.sdk import (
    Adapter,
    CanonicalId,
    Delivered,
    EnsName,
    NativeId,
    Person,
    Rejected,
    file_attachment,
)
from gateway.sdk.testing import MemoryContext, check_conformance
from gateway.sdk.testing.conformance import sample_delivery
from tests.unit.sdk.example_adapter import ExampleAdapter, ExampleSettings

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("example_adapter.py").read_text(encoding="utf-8")


class ExamplePeer:
    """Somebody who reads and writes in the example's rooms."""

    def __init__(self, adapter: ExampleAdapter) -> None:
        self._adapter = adapter

    @property
    def canonical_id(self) -> CanonicalId:
        return CanonicalId("bob")

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        await self._adapter.write(Person(self.canonical_id, "Bob"), recipient, text, native_id, sent_at=1)

    async def received(self) -> Sequence[str]:
        return tuple(self._adapter.rooms.texts[self.canonical_id].values())


async def test_conformance() -> None:
    adapter = ExampleAdapter(ExampleSettings())
    await check_conformance(adapter, MemoryContext(network=adapter.name), ExamplePeer(adapter))


def test_the_readme_shows_it_whole() -> None:
    readme = (ROOT / "adapters/README.md").read_text(encoding="utf-8")
    assert f"```python\n{SOURCE}```\n" in readme


def test_it_is_under_a_hundred_lines() -> None:
    assert len(SOURCE.splitlines()) < 100


def test_it_uses_no_other_door() -> None:
    imports = [line for line in SOURCE.splitlines() if line.startswith(("from gateway", "import gateway"))]
    assert imports == ["from gateway.sdk import ("]


def test_it_has_the_shape_of_an_adapter() -> None:
    adapter: Adapter = ExampleAdapter(ExampleSettings())
    assert adapter.name == "example"


async def test_a_repeated_delivery_shows_once() -> None:
    adapter = ExampleAdapter(ExampleSettings())
    peer = ExamplePeer(adapter)
    await adapter.open(MemoryContext(network=adapter.name))
    first = await adapter.deliver(sample_delivery(peer, 1))
    again = await adapter.deliver(sample_delivery(peer, 1))
    assert first == again == Delivered(NativeId(sample_delivery(peer, 1).key))
    assert await peer.received() == ("conformance message 1",)


async def test_what_it_cannot_carry_is_rejected_with_a_reason() -> None:
    adapter = ExampleAdapter(ExampleSettings(longest=10))
    peer = ExamplePeer(adapter)
    files = (file_attachment("a.txt", "text/plain", b"a"),)
    for delivery in (sample_delivery(peer, 1, text="x" * 11), sample_delivery(peer, 2, text="x", attachments=files)):
        outcome = await adapter.deliver(delivery)
        assert isinstance(outcome, Rejected)
        assert "short texts" in outcome.reason


async def test_a_closed_network_acknowledges_nothing() -> None:
    adapter = ExampleAdapter(ExampleSettings())
    with pytest.raises(ConnectionError):
        await ExamplePeer(adapter).send(EnsName("native.eth"), "lost?", NativeId("1"))
