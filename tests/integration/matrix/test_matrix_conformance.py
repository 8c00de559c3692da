"""The conformance kit, with a real homeserver for what is delivered and its transactions for what comes in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.ids import Ids
from adapters.matrix.settings import MatrixSettings
from gateway.demo.matrix_user import MatrixUser
from gateway.errors import Unavailable
from gateway.ids import CanonicalId, EnsName, NativeId
from gateway.sdk import Handled, MessageType, Retry
from gateway.sdk.testing import MemoryContext, check_conformance
from gateway.web.direct import Direct
from tests.support.asgi import serving
from tests.support.synapse import synapse_server

pytestmark = pytest.mark.xdist_group("matrix")


class MatrixPeer:
    """A human with a chat for each name, and the homeserver's hand that pushes what they write."""

    def __init__(self, user: MatrixUser, adapter: MatrixAdapter, ctx: MemoryContext, url: str, token: str) -> None:
        self._user = user
        self._adapter = adapter
        self._ctx = ctx
        self._url = url
        self._token = token
        self._ids = Ids("localhost", "dm3")
        self._rooms: dict[EnsName, str] = {}
        self._done = 0

    @property
    def canonical_id(self) -> CanonicalId:
        """The human."""
        return CanonicalId(self._user.user_id)

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        """Push an event; what was pushed before and not handled is handled first, as the lanes do."""
        room = self._rooms.get(recipient) or await self._chat(recipient)
        await self._push(
            {
                "type": "m.room.message",
                "room_id": room,
                "sender": self._user.user_id,
                "event_id": f"${native_id}",
                "origin_server_ts": 1_727_000_000_000,
                "content": {"msgtype": "m.text", "body": text},
            }
        )

    async def received(self) -> Sequence[str]:
        """What the ghosts wrote, in order; invitations are accepted."""
        for invite in list(self._user.sync.invites.items):
            await self._user.join(invite.room_id)
        return [
            event["content"].get("body", "")
            for event in self._user.sync.events.items
            if event["type"] == "m.room.message" and self._ids.is_ghost(event["sender"])
        ]

    async def _chat(self, recipient: EnsName) -> str:
        ghost, _ = self._ids.ghost(recipient)
        room = await self._user.create_room(invite=[ghost], is_direct=True, preset="trusted_private_chat")
        member = next(
            event
            for event in await self._user.messages(room)
            if event["type"] == "m.room.member" and event["state_key"] == ghost
        )
        await self._push({**member, "room_id": room})
        self._rooms[recipient] = room
        return room

    async def _push(self, event: dict[str, object]) -> None:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.put(
                f"{self._url}/_matrix/app/v1/transactions/{event['event_id']}",
                content=json.dumps({"events": [event]}).encode(),
                headers={"authorization": f"Bearer {self._token}"},
            )
        if answer.status_code != 200:
            raise Unavailable(answer.text)
        while self._done < len(self._ctx.events):
            outcome = await self._adapter.handle(self._ctx.events[self._done])
            assert not isinstance(outcome, Retry), outcome
            assert isinstance(outcome, Handled), outcome
            self._done += 1


async def test_conformance(tmp_path: Path) -> None:
    tokens = {name: name * 20 for name in ("as", "hs")}
    for name, token in tokens.items():
        (tmp_path / name).write_text(token)
    async with synapse_server(tmp_path, start=False) as synapse:
        settings = MatrixSettings(
            homeserver_url=synapse.url,
            server_name="localhost",
            as_token_file=tmp_path / "as",
            hs_token_file=tmp_path / "hs",
        )
        adapter = MatrixAdapter(settings)
        async with serving(Direct(Starlette(routes=list(adapter.routes())), {}, adapter.trees())) as port:
            url = f"http://127.0.0.1:{port}"
            file = tmp_path / "registration.yaml"
            file.write_text(MatrixAdapter.registration(settings, url))
            synapse.registrations.append(file)
            await synapse.start()
            user = await synapse.register("alice", "a password")
            ctx = MemoryContext(network=adapter.name)
            assert MessageType.EDIT in adapter.capabilities.types
            # The homeserver pushes the same events; only the test's hand hands them on.
            await check_conformance(adapter, ctx, MatrixPeer(user, adapter, ctx, url, tokens["hs"]))
