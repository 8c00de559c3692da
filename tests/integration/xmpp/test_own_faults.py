"""A fault of the gateway's own: whoever wrote is told, and what waits behind the message is handled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.demo.xmpp_stanza import Stanza, element
from gateway.demo.xmpp_user import RECEIPTS
from gateway.ids import EnsName, Network
from gateway.sdk.context import Submitted
from gateway.sdk.delivery import Outgoing
from gateway.sdk.testing import MemoryContext
from tests.integration.xmpp.worlds import PASSWORD, xmpp_adapter
from tests.support.prosody import prosody_server
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")
NAME = EnsName("alice.eth")


@dataclass(kw_only=True)
class Faulty(MemoryContext):
    """Raises what nobody expects for one text."""

    async def submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        """See MemoryContext."""
        if any(each.text == "the fault" for each in outgoing):
            raise RuntimeError("a fault of ours")
        return await MemoryContext.submit_all(self, outgoing)


async def test_the_writer_is_told_and_the_messages_around_it_are_taken(tmp_path: Path) -> None:
    async with prosody_server(tmp_path / "server") as server:
        adapter, ctx = xmpp_adapter(tmp_path, server), Faulty(network=Network("xmpp"), known_names={NAME})
        await adapter.open(ctx)
        running = asyncio.create_task(adapter.run())
        try:

            async def connected() -> bool | None:
                return adapter.connected or None

            await until(connected)
            await server.register("bob", PASSWORD)
            bob = await server.connect("bob", PASSWORD)
            texts = [f"text {number}" for number in range(20)]
            texts[7] = "the fault"
            asking, to = element("request", {"xmlns": RECEIPTS}), f"{NAME}@{server.component}"
            ids = [f"m{number}" for number in range(len(texts))]
            # At once, so that they wait together.
            bob.send_raw(
                "".join(
                    element("message", {"to": to, "type": "chat", "id": key}, element("body", text=text), asking)
                    for key, text in zip(ids, texts, strict=True)
                )
            )

            def answer(key: str) -> Stanza | None:
                heard = bob.messages.items
                return next((each for each in heard if key in (each.id, each.get("received", "id"))), None)

            async def all_answered() -> list[Stanza] | None:
                found = [each for key in ids if (each := answer(key)) is not None]
                return found if len(found) == len(ids) else None

            answers = await until(all_answered)
            assert [each.type == "error" for each in answers] == [text == "the fault" for text in texts]
            fault = answers[7].fault
            assert fault is not None
            assert fault.condition == "internal-server-error"
            assert [each.text for each in ctx.taken] == [text for text in texts if text != "the fault"]
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await adapter.close()
