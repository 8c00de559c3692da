"""The crypto machine of one user of ours: the Olm account of its device, its sessions, and their database.

nio's machine without nio's client: the application service does not sync, so each step is called by itself. Nothing
here waits for the network; everything touches the disk, so all of it is called in one thread (see `Crypto`).
Client-Server API, "End-to-End Encryption"; Olm and Megolm by vodozemac.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from nio import KeysClaimResponse, KeysQueryResponse, KeysUploadResponse, MegolmEvent, ToDeviceEvent
from nio.event_builders import DummyMessage
from nio.events import OlmEvent
from nio.exceptions import EncryptionError

from adapters.matrix.crypto.errors import KeyMissing, Undecipherable, WrongStore
from adapters.matrix.crypto.pushed import ENOUGH_KEYS
from adapters.matrix.ids import Mxid, RoomId

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MEGOLM: Final = "m.megolm.v1.aes-sha2"
OLM: Final = "m.olm.v1.curve25519-aes-sha2"
ASK_AGAIN: Final = 60.0
"""Seconds after which a server that did not tell the devices of its users is asked again."""
STALE: Final = 3600.0
"""Seconds after which anybody's devices are asked for again: of changes while we are away we are not told."""
MAX_WITHHELD: Final = 1000
MAX_CLEAR: Final = 45_000
"""Bytes of an event before it is encrypted, which makes it a third longer; a longer one goes without its HTML."""
PASSED_OVER: Final[Mapping[str, str]] = {"user_id": "", "device_id": ""}
"""Keys that are nobody's, of which nio sees that there is a device and no more."""
CLEAR: Final = "eth.dm3."
"""Keys of a content that stay in clear: by them we find our own events again."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """After how much a room wants another key (``m.room.encryption``)."""

    messages: int = 100
    ms: int = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Share:
    """One request that gives the key of a room to devices, and which devices these are."""

    devices: frozenset[tuple[str, str]]
    messages: Mapping[str, Any]


class Machine:
    """Keys of one device of one user."""

    def __init__(self, user: Mxid, device: str, folder: Path, pickle_key: str) -> None:
        """Load or make; raises WrongStore when the store was written with another key."""
        # What nio has only with the extra.
        from nio.crypto import Olm
        from nio.store import SqliteStore

        self.user = user
        self.device = device
        store = SqliteStore(user, device, str(folder), pickle_key, f"{device}.db")
        self._database = store.database
        # One flush to the disk for each step, where the other journals need several.
        self._database.execute_sql("PRAGMA journal_mode=wal")
        try:
            self._olm = Olm(user, device, store)
        except ValueError as error:
            store.database.close()
            raise WrongStore(f"{folder}: {type(error).__name__}") from None
        self._shared_with: dict[RoomId, frozenset[str]] = {}
        self._asked: dict[str, float] = {}
        self._untold: set[str] = set()
        """Of whom we do not know whether they have a device."""
        self._withheld: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._database.atomic():
            yield

    # --- our own keys ---------------------------------------------------------------------------------------------

    @property
    def published(self) -> bool:
        """Whether the homeserver has the device's keys."""
        return bool(self._olm.account.shared)

    def counted(self, count: int) -> bool:
        """Note how many one-time keys the homeserver has left; True when it should get more."""
        self._olm.uploaded_key_count = count
        return self.published and count < ENOUGH_KEYS

    def to_upload(self) -> Json:
        """The body of ``keys/upload``; on disk before anybody can use the keys."""
        with self._step():
            body: Json = self._olm.share_keys()
            self._olm.save_account()
        return body

    def uploaded(self, answer: Mapping[str, Any]) -> None:
        """The answer to it: the keys are out."""
        counts = answer.get("one_time_key_counts")
        count = counts.get("signed_curve25519") if isinstance(counts, Mapping) else None
        with self._step():
            self._olm.handle_response(KeysUploadResponse(0, count if isinstance(count, int) else 0))

    # --- devices of people ----------------------------------------------------------------------------------------

    def changed(self, users: Sequence[str]) -> None:
        """Keys of these users changed, as the homeserver says."""
        self._olm.users_for_key_query.update(self._olm.tracked_users.intersection(users))

    def left(self, users: Sequence[str]) -> None:
        """Changes of these users are not told any more: no room is shared with them."""
        self._olm.tracked_users.difference_update(users)

    def to_query(self, users: frozenset[str]) -> list[str]:
        """Of whom the devices must be asked for."""
        olm, now = self._olm, time.monotonic()
        return sorted(
            user
            for user in users
            if user in olm.users_for_key_query
            or now - self._asked.get(user, -STALE)
            >= (STALE if user in olm.tracked_users and user not in self._untold else ASK_AGAIN)
        )

    def queried(self, users: Sequence[str], answer: Mapping[str, Any]) -> None:
        """The answer of ``keys/query``; a room with a device that came or went gets another key.

        What is wrong about one device concerns no other. Whose part cannot be read is asked for again at once.
        """
        now, told = time.monotonic(), answer.get("device_keys")
        if not isinstance(told, Mapping):
            log.warning("crypto.bad_answer", of="keys/query")
            self._untold.update(users)
            return
        changed = set()
        with self._step():
            for user in users:
                self._untold.add(user)
                if user not in told:
                    # Their server did not answer, and to ask it takes long.
                    self._asked[user] = now
                    continue
                try:
                    # A part of the step that is undone alone.
                    with self._database.atomic():
                        if self._queried(user, told[user]):
                            changed.add(user)
                    self._asked[user] = now
                except Exception as error:
                    # Whatever a stranger's server calls devices.
                    self._olm.users_for_key_query.add(user)
                    log.info("crypto.bad_devices", user=user, error=type(error).__name__)
        for room, members in list(self._shared_with.items()):
            if members.intersection(changed):
                self._drop(room)

    def _queried(self, user: str, devices: Mapping[str, Any]) -> bool:
        """One person's part of the answer; whether any device of theirs came, went or changed."""
        read = {device: self._readable(user, device, keys) for device, keys in devices.items()}
        # nio takes a device that is not there for removed, and never gives it a key again.
        response = KeysQueryResponse({user: {device: keys or PASSED_OVER for device, keys in read.items()}}, {})
        self._olm.handle_response(response)
        if any(read.values()) or not read:
            self._untold.discard(user)
        return bool(response.changed)

    def _readable(self, user: str, device: str, keys: Any) -> Json | None:
        """The keys of a device as nio takes them; None when it would pass over them, or not get over them."""
        from vodozemac import Curve25519PublicKey

        try:
            # What it is called is not signed, and shown to nobody.
            bare = {key: value for key, value in keys.items() if key != "unsigned"}
            formed = isinstance(KeysQueryResponse.from_dict({"device_keys": {user: {device: bare}}}), KeysQueryResponse)
            Curve25519PublicKey.from_base64(bare["keys"][f"curve25519:{device}"])
            signer = bare["keys"][f"ed25519:{device}"]
            whose = bare["user_id"], bare["device_id"]
            if formed and whose == (user, device) and self._olm.verify_json(bare, signer, user, device):
                return bare
            log.info("crypto.bad_device", user=user, device=device[:100])
        except Exception as error:
            # Whatever a stranger's device calls its keys.
            log.info("crypto.bad_device", user=user, device=device[:100], error=type(error).__name__)
        return None

    def unheard(self, members: frozenset[str]) -> bool:
        """Whether we know of no device that could read what we write, though there may be some.

        Nobody has one for certain when everybody's part was read and empty: that does not change by waiting.
        """
        return not self._untold.isdisjoint(members) and not any(
            True for user in members for _ in self._olm.device_store.active_user_devices(user)
        )

    def owns(self, user: str, room: RoomId, session_id: str) -> bool:
        """Whether a room's key came from a device of this user, as far as we know their devices."""
        session = self._session(room, session_id)
        return session is not None and any(
            device.curve25519 == session.sender_key and device.ed25519 == session.ed25519
            for device in self._olm.device_store[user].values()
        )

    def to_claim(self, users: frozenset[str]) -> dict[str, list[str]]:
        """Devices to which there is no way yet."""
        return dict(self._olm.get_missing_sessions(sorted(users)))

    def claimed(self, answer: Mapping[str, Any]) -> None:
        """The answer of ``keys/claim``; what is wrong about one device concerns no other."""
        keys = answer.get("one_time_keys")
        for user, devices in keys.items() if isinstance(keys, Mapping) else ():
            for device, key in devices.items() if isinstance(devices, Mapping) else ():
                try:
                    with self._step():
                        self._olm.handle_response(KeysClaimResponse({user: {device: key}}, {}))
                except Exception as error:
                    # Whatever a stranger's device calls a key.
                    log.info("crypto.bad_key", user=user, error=type(error).__name__)

    # --- messages to our device -----------------------------------------------------------------------------------

    def received(self, messages: Sequence[Mapping[str, Any]], *, again: bool = False) -> None:
        """Messages to this device: keys of rooms, mostly. What cannot be read is left.

        ``again``: some of them were here before, so that it means nothing when they cannot be read.
        """
        wedged = list(self._olm.wedged_devices)
        with self._step():
            for message in messages:
                try:
                    self._received(message)
                except Exception as error:
                    # Anybody can send anything to a device, and what follows must not wait for it.
                    log.info("crypto.bad_message", user=self.user, error=type(error).__name__)
            # nio saves it before the one-time key is used up.
            self._olm.save_account()
        if again:
            self._olm.wedged_devices = wedged

    @property
    def collected(self) -> str:
        """Up to where the homeserver's own list of messages to this device was read, "" for nothing."""
        return str(self._olm.store.load_sync_token() or "")

    def note_collected(self, token: str) -> None:
        """Write it down."""
        with self._step():
            self._olm.store.save_sync_token(token)

    def _received(self, message: Mapping[str, Any]) -> None:
        content = message.get("content")
        if message.get("type") == "m.room_key.withheld" and isinstance(content, Mapping):
            self._note_withheld(content)
        elif message.get("type") == "m.room.encrypted":
            event = ToDeviceEvent.parse_event(dict(message))
            if isinstance(event, OlmEvent):
                self._olm.handle_to_device_event(event)

    def _note_withheld(self, content: Mapping[str, Any]) -> None:
        room, session, code = content.get("room_id"), content.get("session_id"), content.get("code")
        if isinstance(room, str) and isinstance(session, str) and isinstance(code, str):
            while len(self._withheld) >= MAX_WITHHELD:
                self._withheld.pop(next(iter(self._withheld)))
            self._withheld[room, session] = code[:100]

    def withheld(self, room: RoomId, session_id: str) -> str:
        """The code by which a client said that it gives us no key, "" when it did not."""
        return self._withheld.get((room, session_id), "")

    def broken(self) -> dict[str, list[str]]:
        """Devices whose messages we cannot read any more; a new session with them must be begun."""
        return dict(self._olm.get_users_for_key_claiming()) if self._olm.wedged_devices else {}

    def mended(self) -> list[Share]:
        """What tells these devices that there is a new session. After `claimed`."""
        outgoing, self._olm.wedged_devices = list(self._olm.outgoing_to_device_messages), []
        self._olm.outgoing_to_device_messages.clear()
        return [
            Share(
                frozenset({(each.recipient, each.recipient_device)}),
                {"messages": {each.recipient: {each.recipient_device: each.content}}},
            )
            for each in outgoing
            if isinstance(each, DummyMessage)
        ]

    # --- rooms ----------------------------------------------------------------------------------------------------

    def opened(self, raw: Mapping[str, Any]) -> tuple[str, Json]:
        """The clear type and content of ``m.room.encrypted``; raises KeyMissing and Undecipherable."""
        content, room = raw["content"], raw["room_id"]
        if content.get("algorithm") != MEGOLM:
            raise Undecipherable("the algorithm is not one that this gateway knows")
        session_id = content.get("session_id")
        session = self._session(room, session_id) if isinstance(session_id, str) else None
        if session is None:
            raise KeyMissing
        # The key is found by its id; what else the event says of its origin proves nothing, and may be left out.
        said = {**content, "sender_key": session.sender_key, "device_id": str(content.get("device_id"))}
        try:
            event = MegolmEvent.from_dict({**raw, "content": said})
            if not isinstance(event, MegolmEvent):
                raise Undecipherable("its form is not the one of an encrypted event")
            clear = self._olm.decrypt_megolm_event(event, room).source
            kind, inner = clear["type"], clear["content"]
        except (EncryptionError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise Undecipherable(type(error).__name__) from None
        if not isinstance(kind, str) or not isinstance(inner, dict):
            raise Undecipherable("its content is no event")
        relation = content.get("m.relates_to")
        inner = {key: value for key, value in inner.items() if key != "m.relates_to"}
        return kind, inner if relation is None else {**inner, "m.relates_to": relation}

    def can_seal(self, room: RoomId, members: frozenset[str]) -> bool:
        """Whether everybody in the room has the key that we write with."""
        return self._shared_with.get(room) == members and not self._olm.should_share_group_session(room)

    def shares(self, room: RoomId, members: frozenset[str], rotation: Rotation) -> list[Share]:
        """Make a new key for a room, and what gives it to all devices of its members, verified or not."""
        if self._shared_with.get(room) != members:
            self._drop(room)
        if room not in self._olm.outbound_group_sessions:
            self._olm.create_outbound_group_session(room)
        with self._step():
            given = self._olm.share_group_session_parallel(room, sorted(members), ignore_unverified_devices=True)
            shares = [Share(frozenset(devices), body) for devices, body in given]
        session = self._olm.outbound_group_sessions[room]
        session.max_messages, session.max_age = rotation.messages, timedelta(milliseconds=rotation.ms)
        self._shared_with[room] = members
        return shares

    def gave(self, room: RoomId, share: Share) -> None:
        """These devices have it."""
        self._olm.outbound_group_sessions[room].users_shared_with.update(share.devices)

    def seal(self, room: RoomId, kind: str, content: Mapping[str, Any]) -> Json:
        """The content of ``m.room.encrypted``; all that gets the key must have it by now."""
        relation = content.get("m.relates_to")
        clear = {key: value for key, value in content.items() if key.startswith(CLEAR)}
        hidden = {key: value for key, value in content.items() if key != "m.relates_to" and key not in clear}
        session = self._olm.outbound_group_sessions[room]
        session.shared = True
        text = _event(room, kind, hidden)
        if len(text.encode("utf-8", "replace")) > MAX_CLEAR:
            text = _event(room, kind, _plain(hidden))
        sealed: Json = {
            "algorithm": MEGOLM,
            "sender_key": self._olm.account.identity_keys["curve25519"],
            "ciphertext": session.encrypt(text.encode("utf-8", "replace").decode()),
            "session_id": session.id,
            "device_id": self.device,
            **clear,
        }
        return sealed if relation is None else {**sealed, "m.relates_to": relation}

    def _drop(self, room: RoomId) -> None:
        self._shared_with.pop(room, None)
        self._olm.outbound_group_sessions.pop(room, None)

    def _session(self, room: RoomId, session_id: str) -> Any:
        for sessions in self._olm.inbound_group_store[room].values():
            if session_id in sessions:
                return sessions[session_id]
        return None


def _event(room: RoomId, kind: str, content: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, "content": content, "room_id": room}, ensure_ascii=False, separators=(",", ":"))


def _plain(content: Mapping[str, Any]) -> Json:
    """Without HTML, in what replaces an earlier text too."""
    return {
        key: _plain(value) if key == "m.new_content" and isinstance(value, Mapping) else value
        for key, value in content.items()
        if key not in ("format", "formatted_body")
    }
