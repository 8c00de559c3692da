"""The conformance kit, with a user of real servers as the peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.demo.xmpp_user import RECEIPTS, XmppUser
from gateway.errors import Unavailable
from gateway.ids import CanonicalId, EnsName, NativeId
from gateway.sdk import MessageType
from gateway.sdk.testing import MemoryContext, check_conformance
from tests.integration.xmpp.worlds import PASSWORD
from tests.support.ejabberd import ejabberd_server
from tests.support.prosody import prosody_server
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")


class XmppPeer:
    """A human whose client asks for receipts; what is refused comes back to them as an error."""

    def __init__(self, user: XmppUser, adapter: XmppAdapter, component: str) -> None:
        self._user = user
        self._adapter = adapter
        self._component = component

    @property
    def canonical_id(self) -> CanonicalId:
        """The human."""
        return CanonicalId(self._user.jid)

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        """Return with the receipt; Unavailable for an error."""
        await until(self._connected)
        before = len(self._user.messages.items)
        await self._user.send(
            f"{recipient}@{self._component}", text, element("request", {"xmlns": RECEIPTS}), id=native_id
        )

        async def answer() -> Stanza | None:
            new = self._user.messages.items[before:]
            return next((each for each in new if native_id in (each.id, each.get("received", "id"))), None)

        found = await until(answer)
        if found.type == "error":
            assert found.fault is not None
            raise Unavailable(str(found.fault))

    async def received(self) -> Sequence[str]:
        """Bodies of messages of contacts, in order."""
        return [each.body for each in self._user.messages.items if each.type == "chat" and each.body is not None]

    async def _connected(self) -> bool | None:
        return self._adapter.connected or None


@pytest.mark.parametrize("running_server", [prosody_server, ejabberd_server], ids=["prosody", "ejabberd"])
async def test_conformance(running_server: Any, tmp_path: Path) -> None:
    async with running_server(tmp_path / "server") as server:
        secret = tmp_path / "secret"
        secret.write_text(server.secret)
        adapter = XmppAdapter(
            XmppSettings(component=server.component, host=server.host, port=server.component_port, secret_file=secret)
        )
        await server.register("alice", PASSWORD)
        user = await server.connect("alice", PASSWORD)
        ctx = MemoryContext(network=adapter.name)
        assert MessageType.EDIT in adapter.capabilities.types
        await check_conformance(adapter, ctx, XmppPeer(user, adapter, server.component))
