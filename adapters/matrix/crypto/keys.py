"""Keys on their way: what our devices publish, what they ask the homeserver for, and what it pushes for them.

Each device is asserted in the requests that are about it (Application Service API, "Identity assertion", 1.17).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from adapters.matrix.client import Homeserver, path
from adapters.matrix.crypto.errors import DevicesUnknown, KeyMissing, Undecipherable
from adapters.matrix.crypto.files import locked
from adapters.matrix.crypto.machine import Machine, Share
from adapters.matrix.crypto.machines import DEVICE, Machines, Seat
from adapters.matrix.crypto.pushed import counts_of, objects, texts
from adapters.matrix.crypto.rooms import EncryptedRooms
from adapters.matrix.crypto.signing import Identity
from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import Ids, Mxid, RoomId
from adapters.matrix.reading import RoomEvent, part, text

log = structlog.get_logger(__name__)

Json = Mapping[str, Any]
QUERY_MS: Final = 5_000
"""For servers of other people to tell their devices."""
ONLY_DEVICES: Final = json.dumps(
    {"room": {"rooms": []}, "presence": {"types": []}, "account_data": {"types": []}}, separators=(",", ":")
)
"""A sync that tells nothing of rooms."""
MAX_PAGES: Final = 100
"""Of a hundred messages each."""
SHOWN_AS: Final = "DM3 gateway"
UPLOAD: Final = path("keys", "upload")


class Crypto:
    """Reads and writes encrypted events in the name of our users.

    Every method raises HomeserverDown, HomeserverRefused or WrongStore.
    """

    def __init__(self, homeserver: Homeserver, ids: Ids, folder: Path, secret: bytes) -> None:
        self.rooms = EncryptedRooms(homeserver, ids)
        self._homeserver = homeserver
        self._ids = ids
        self._secret = secret
        self._machines = Machines(folder, secret.hex())

    async def open(self) -> None:
        """Open the store; raises ConfigError."""
        await self._machines.open()

    async def close(self) -> None:
        """Close it. A second call does nothing."""
        await self._machines.close()

    async def prepare(self, user: Mxid) -> None:
        """Give a user of ours a device, if it has none: before it joins, so that nothing is missed there."""
        async with self._machines.of(user) as seat:
            await self._published(seat)

    async def has_device(self, user: Mxid) -> bool:
        """Whether a user of ours was prepared, now or earlier."""
        return await self._machines.exists(user)

    # --- rooms ----------------------------------------------------------------------------------------------------

    async def is_encrypted(self, room: RoomId, user: Mxid) -> bool:
        """Whether a user of ours must encrypt what it writes there; it must be in the room."""
        return await self.rooms.rotation(room, user) is not None

    async def seal(self, room: RoomId, user: Mxid, kind: str, content: Json) -> Json:
        """The content of ``m.room.encrypted`` for everybody who is in the room or invited now."""
        rotation = await self.rooms.rotation(room, user)
        assert rotation is not None, "asked before"
        members = await self.rooms.people(room, user)
        run = self._machines.run
        async with self._machines.of(user) as seat, seat.lock:
            machine = seat.machine
            await self._publish(machine)
            await self._query(machine, members)
            if machine.unheard(members):
                # Sent, it would be told as delivered, and nobody could ever read it.
                raise DevicesUnknown(f"of none of {len(members)} a device is known")
            if not machine.can_seal(room, members):
                await self._claim(machine, machine.to_claim(members))
                for share in await run(machine.shares, room, members, rotation):
                    await self._give(machine, share)
                    machine.gave(room, share)
            return await run(machine.seal, room, kind, content)

    async def opened(self, event: RoomEvent, users: Sequence[Mxid]) -> tuple[str, Json]:
        """Clear type and content of ``m.room.encrypted`` by the first of our users who can read it.

        Raises KeyMissing when nobody has the key, and Undecipherable.
        """
        raw = {
            "type": event.type,
            "event_id": event.id,
            "sender": event.sender,
            "origin_server_ts": event.at,
            "room_id": event.room,
            "content": dict(event.content),
        }
        for user in users:
            async with self._machines.of(user) as seat:
                await self._published(seat)
                try:
                    clear = await self._machines.run(seat.machine.opened, raw)
                except KeyMissing:
                    continue
                await self._check_owner(seat, event)
                return clear
        raise KeyMissing

    async def withheld(self, event: RoomEvent, users: Sequence[Mxid]) -> str:
        """The code by which a client refused us the key of an event, "" when it did not."""
        session_id = text(event.content, "session_id")
        for user in users:
            async with self._machines.of(user) as seat:
                if code := seat.machine.withheld(event.room, session_id):
                    return code
        return ""

    async def locked(self, data: bytes) -> tuple[bytes, Json]:
        """A file as it is uploaded, and what a reader needs besides its address."""
        return await asyncio.to_thread(locked, data)

    async def _check_owner(self, seat: Seat, event: RoomEvent) -> None:
        """The key must come from a device of the one who is said to have written."""
        run, machine = self._machines.run, seat.machine
        key = event.sender, event.room, text(event.content, "session_id")
        if await run(machine.owns, *key):
            return
        async with seat.lock:
            await self._query(machine, frozenset({event.sender}))
        if not await run(machine.owns, *key):
            raise Undecipherable("its key is not from a device of its sender")

    # --- what is pushed -------------------------------------------------------------------------------------------

    async def pushed(self, raw: Json) -> None:
        """What a transaction holds for our devices (see `devices_event`)."""
        messages: dict[tuple[Mxid, str], list[Json]] = {}
        for message in objects(raw.get("to_device")):
            to = Mxid(text(message, "to_user_id")), text(message, "to_device_id")
            if self._ids.is_ours(to[0]):
                messages.setdefault(to, []).append(message)
        counts = {
            Mxid(user): found
            for user, devices in part(raw, "counts").items()
            if self._ids.is_ours(user) and (found := counts_of(devices))
        }
        for (user, device), several in messages.items():
            if await self._machines.exists(user):
                await self._receive(user, device, several)
        for user, by_device in counts.items():
            if await self._machines.exists(user):
                await self._count(user, by_device)
        lists = part(raw, "lists")
        await self._machines.changed(texts(lists.get("changed")), texts(lists.get("left")))

    async def collect(self, users: Sequence[Mxid]) -> None:
        """Read what the homeserver still has for the devices of these users.

        Synapse pushes messages to devices once, and not at all while it takes us for down, but keeps them.
        """
        for user in users:
            async with self._machines.of(user) as seat, seat.lock:
                for _ in range(MAX_PAGES):
                    if not await self._collect_page(seat.machine):
                        break

    async def _collect_page(self, machine: Machine) -> bool:
        run = self._machines.run
        query = {"device_id": machine.device, "timeout": "0", "set_presence": "offline", "filter": ONLY_DEVICES}
        if since := await run(lambda: machine.collected):
            query["since"] = since
        answer = await self._homeserver.call("GET", path("sync"), user=machine.user, query=query)
        messages = list(objects(part(answer, "to_device").get("events")))
        await run(machine.received, messages, again=True)
        await run(machine.note_collected, text(answer, "next_batch"))
        return bool(messages)

    async def _receive(self, user: Mxid, device: str, messages: Sequence[Json]) -> None:
        async with self._machines.of(user) as seat, seat.lock:
            machine = seat.machine
            if device != machine.device:
                return
            await self._machines.run(machine.received, messages)
            broken = machine.broken()
            if broken:
                await self._claim(machine, broken)
                for share in await self._machines.run(machine.mended):
                    await self._give(machine, share)

    async def _count(self, user: Mxid, counts: Mapping[str, int]) -> None:
        async with self._machines.of(user) as seat, seat.lock:
            count = counts.get(seat.machine.device)
            if count is not None and seat.machine.counted(count):
                await self._upload(seat.machine)

    # --- what is asked --------------------------------------------------------------------------------------------

    async def _published(self, seat: Seat) -> None:
        if not seat.machine.published:
            async with seat.lock:
                await self._publish(seat.machine)

    async def _publish(self, machine: Machine) -> None:
        """A new device: made, with its keys, and signed by its user; older ones of ours are lost, and removed."""
        if machine.published:
            return
        user = machine.user
        await self._call("PUT", path("devices", machine.device), {"display_name": SHOWN_AS}, user)
        body = await self._machines.run(machine.to_upload)
        answer = await self._call("POST", UPLOAD, body, user, device=machine.device)
        identity = Identity(user, self._secret)
        try:
            await self._call("POST", path("keys", "device_signing", "upload"), identity.keys(), user)
            signed = identity.signed_device(machine.device, part(body, "device_keys"))
            await self._call("POST", path("keys", "signatures", "upload"), signed, user)
        except HomeserverRefused as refusal:
            log.warning("crypto.device_not_signed", user=user, errcode=refusal.errcode)
        known = await self._call("GET", path("devices"), None, user)
        ids = [text(each, "device_id") for each in objects(known.get("devices"))]
        if lost := [each for each in ids if each.startswith(DEVICE) and each != machine.device]:
            await self._call("POST", path("delete_devices"), {"devices": lost}, user)
        # Last, so that all of it is done again after an interruption.
        await self._machines.run(machine.uploaded, answer)
        log.info("crypto.device_made", user=user, device=machine.device)

    async def _upload(self, machine: Machine) -> None:
        body = await self._machines.run(machine.to_upload)
        answer = await self._call("POST", UPLOAD, body, machine.user, device=machine.device)
        await self._machines.run(machine.uploaded, answer)

    async def _query(self, machine: Machine, users: frozenset[str]) -> None:
        if asked := machine.to_query(users):
            body = {"device_keys": {user: [] for user in asked}, "timeout": QUERY_MS}
            answer = await self._call("POST", path("keys", "query"), body, machine.user)
            await self._machines.run(machine.queried, asked, answer)

    async def _claim(self, machine: Machine, devices: Mapping[str, Sequence[str]]) -> None:
        if devices:
            wanted = {user: dict.fromkeys(ids, "signed_curve25519") for user, ids in devices.items()}
            body = {"one_time_keys": wanted, "timeout": QUERY_MS}
            await self._machines.run(
                machine.claimed, await self._call("POST", path("keys", "claim"), body, machine.user)
            )

    async def _give(self, machine: Machine, share: Share) -> None:
        where = path("sendToDevice", "m.room.encrypted", uuid.uuid4().hex)
        await self._call("PUT", where, share.messages, machine.user)

    async def _call(self, method: str, where: str, body: Json | None, user: Mxid, *, device: str = "") -> Json:
        query = {"device_id": device} if device else None
        return await self._homeserver.call(method, where, body, user=user, query=query)
