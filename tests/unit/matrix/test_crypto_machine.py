"""Two machines that speak with each other, with what a homeserver would answer, and what strangers may send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nio.crypto import SessionStore

from adapters.matrix.crypto.errors import KeyMissing, Undecipherable, WrongStore
from adapters.matrix.crypto.machine import Machine, Rotation, Share
from adapters.matrix.ids import Mxid, RoomId

ROOM = RoomId("!room")
ALICE, GHOST = Mxid("@alice:hs"), Mxid("@dm3_bob.eth:hs")


class Peer:
    """A machine, and what the homeserver has of it."""

    def __init__(self, user: Mxid, device: str, folder: Path) -> None:
        folder.mkdir()
        self.machine = Machine(user, device, folder, "a key")
        body = self.machine.to_upload()
        self.device_keys: dict[str, Any] = body["device_keys"]
        self.one_time = list(body["one_time_keys"].items())
        self.machine.uploaded({"one_time_key_counts": {"signed_curve25519": 50}})

    @property
    def user(self) -> Mxid:
        return self.machine.user

    def knows(self, other: Peer) -> None:
        self.machine.queried([other.user], {"device_keys": {other.user: {other.machine.device: other.device_keys}}})

    def claims(self, other: Peer) -> None:
        name, key = other.one_time.pop()
        self.machine.claimed({"one_time_keys": {other.user: {other.machine.device: {name: key}}}})

    def gives(self, other: Peer) -> list[Share]:
        """The room's key, in as many requests as it takes."""
        members = frozenset({other.user})
        shares = self.machine.shares(ROOM, members, Rotation())
        for share in shares:
            other.gets(self, share)
            self.machine.gave(ROOM, share)
        return shares

    def gets(self, sender: Peer, share: Share) -> None:
        content = share.messages["messages"][self.user][self.machine.device]
        self.machine.received([{"type": "m.room.encrypted", "sender": sender.user, "content": content}])

    def says(self, text: str, more: dict[str, Any] | None = None, number: int = 0) -> dict[str, Any]:
        content = self.machine.seal(ROOM, "m.room.message", {"msgtype": "m.text", "body": text, **(more or {})})
        return _event(self.user, content, number)


def _event(sender: str, content: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return {
        "type": "m.room.encrypted",
        "room_id": ROOM,
        "sender": sender,
        "event_id": f"$event{number}",
        "origin_server_ts": 1,
        "content": content,
    }


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(ALICE, "ALICES", tmp_path / "alice")
    yield peer
    peer.machine.close()


@pytest.fixture
def ghost(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(GHOST, "DM3", tmp_path / "ghost")
    yield peer
    peer.machine.close()


def meet(alice: Peer, ghost: Peer) -> None:
    alice.knows(ghost)
    ghost.knows(alice)
    alice.claims(ghost)


def test_what_is_sealed_is_opened_with_its_relation_in_clear(alice: Peer, ghost: Peer) -> None:
    meet(alice, ghost)
    assert not alice.machine.can_seal(ROOM, frozenset({GHOST}))
    assert len(alice.gives(ghost)) == 1
    relation = {"m.in_reply_to": {"event_id": "$x"}}
    event = alice.says("hello \ud800", {"m.relates_to": relation, "eth.dm3.key": "k"})
    assert (event["content"]["m.relates_to"], event["content"]["eth.dm3.key"]) == (relation, "k")
    kind, content = ghost.machine.opened(event)
    assert kind == "m.room.message"
    assert content == {"msgtype": "m.text", "body": "hello ?", "m.relates_to": relation}
    assert ghost.machine.owns(ALICE, ROOM, event["content"]["session_id"])
    assert not ghost.machine.owns("@mallory:hs", ROOM, event["content"]["session_id"])
    assert alice.machine.can_seal(ROOM, frozenset({GHOST}))
    assert not alice.machine.can_seal(ROOM, frozenset({GHOST, "@new:hs"}))


def test_a_new_device_makes_a_new_key(alice: Peer, ghost: Peer, tmp_path: Path) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    first = alice.says("one")["content"]["session_id"]
    second = Peer(GHOST, "OTHER", tmp_path / "other")
    alice.machine.changed([GHOST])
    assert alice.machine.to_query(frozenset({GHOST})) == [GHOST]
    both = {peer.machine.device: peer.device_keys for peer in (ghost, second)}
    alice.machine.queried([GHOST], {"device_keys": {GHOST: both}})
    assert alice.machine.to_query(frozenset({GHOST})) == []
    assert not alice.machine.can_seal(ROOM, frozenset({GHOST}))
    assert alice.machine.to_claim(frozenset({GHOST})) == {GHOST: ["OTHER"]}
    second.machine.close()
    alice.gives(ghost)
    assert alice.says("two")["content"]["session_id"] != first


def test_a_session_that_one_side_lost_is_begun_anew(alice: Peer, ghost: Peer) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    ghost.gives(alice)
    ghost.machine._olm.session_store = SessionStore()
    alice.machine._drop(ROOM)
    alice.gives(ghost)
    with pytest.raises(KeyMissing):
        ghost.machine.opened(alice.says("unheard"))
    assert ghost.machine.broken() == {ALICE: ["ALICES"]}
    ghost.claims(alice)
    (share,) = ghost.machine.mended()
    assert ghost.machine.broken() == {}
    alice.gets(ghost, share)
    alice.machine._drop(ROOM)
    alice.gives(ghost)
    assert ghost.machine.opened(alice.says("heard"))[1]["body"] == "heard"


def test_a_store_is_read_with_its_own_key_only(ghost: Peer, tmp_path: Path) -> None:
    ghost.machine.close()
    with pytest.raises(WrongStore):
        Machine(GHOST, "DM3", tmp_path / "ghost", "another key")
    again = Machine(GHOST, "DM3", tmp_path / "ghost", "a key")
    assert again.published
    again.close()


def test_keys_run_low_and_more_are_made(ghost: Peer) -> None:
    assert not ghost.machine.counted(25)
    assert ghost.machine.counted(3)
    assert len(ghost.machine.to_upload()["one_time_keys"]) == 47


def test_what_is_withheld_is_known(ghost: Peer) -> None:
    content = {"room_id": ROOM, "session_id": "s", "code": "m.unverified"}
    ghost.machine.received([{"type": "m.room_key.withheld", "sender": ALICE, "content": content}])
    assert ghost.machine.withheld(ROOM, "s") == "m.unverified"
    assert ghost.machine.withheld(ROOM, "t") == ""


def test_a_text_too_long_for_an_event_goes_without_its_html(alice: Peer, ghost: Peer) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    html = {"format": "org.matrix.custom.html", "formatted_body": "<b>x</b>" * 3000}
    new = {"msgtype": "m.text", "body": "x" * 12_000, **html}
    event = alice.says("x" * 12_000, {**html, "m.new_content": new})
    _, content = ghost.machine.opened(event)
    assert content == {
        "msgtype": "m.text",
        "body": "x" * 12_000,
        "m.new_content": {"msgtype": "m.text", "body": new["body"]},
    }
    short = {"format": html["format"], "formatted_body": "<b>x</b>"}
    assert ghost.machine.opened(alice.says("x", short, 1))[1] == {"msgtype": "m.text", "body": "x", **short}


OLM = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "A" * 43}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "m.room.encrypted"},
        {"type": "m.room.encrypted", "sender": ALICE, "content": []},
        {"type": "m.room.encrypted", "sender": ALICE, "content": {**OLM, "ciphertext": {}}},
        {
            "type": "m.room.encrypted",
            "sender": ALICE,
            "content": {**OLM, "ciphertext": {"KEY": {"type": 0, "body": "?"}}},
        },
        {
            "type": "m.room.encrypted",
            "sender": ALICE,
            "content": {**OLM, "ciphertext": {"KEY": {"type": 1, "body": "A"}}},
        },
        {"type": "m.room_key.withheld", "content": {"room_id": 1, "session_id": [], "code": {}}},
        {"type": "m.room_key.withheld", "content": None},
        {"type": "m.room_key", "sender": ALICE, "content": {"session_key": "x"}},
    ],
)
def test_what_strangers_send_stops_nothing(alice: Peer, ghost: Peer, message: dict[str, Any]) -> None:
    meet(alice, ghost)
    ours = ghost.machine._olm.account.identity_keys["curve25519"]
    content = message.get("content")
    if isinstance(content, dict) and "KEY" in content.get("ciphertext", {}):
        message = {**message, "content": {**content, "ciphertext": {ours: content["ciphertext"]["KEY"]}}}
    ghost.machine.received([message])
    alice.gives(ghost)
    assert ghost.machine.opened(alice.says("still here"))[1]["body"] == "still here"


@pytest.mark.parametrize("keys", [None, [], {ALICE: []}, {ALICE: {"ALICES": {}}}, {ALICE: {"ALICES": {"k": {}}}}])
def test_what_strangers_call_a_key_stops_nothing(alice: Peer, ghost: Peer, keys: Any) -> None:
    ghost.knows(alice)
    ghost.machine.claimed({"one_time_keys": keys})
    assert ghost.machine.to_claim(frozenset({ALICE})) == {ALICE: ["ALICES"]}
    assert ghost.machine.shares(ROOM, frozenset({ALICE}), Rotation()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ciphertext": "?"},
        {"ciphertext": ""},
        {"ciphertext": 7},
        {"ciphertext": None},
        {"algorithm": "m.olm.v1.curve25519-aes-sha2"},
        {"algorithm": 3},
    ],
)
def test_a_broken_event_is_undecipherable(alice: Peer, ghost: Peer, changes: dict[str, Any]) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    event = alice.says("whole")
    with pytest.raises(Undecipherable):
        ghost.machine.opened({**event, "content": {**event["content"], **changes}})
    assert ghost.machine.opened(event)[1]["body"] == "whole"


def test_a_message_that_is_sent_again_as_another_is_refused(alice: Peer, ghost: Peer) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    event = alice.says("once")
    ghost.machine.opened(event)
    assert ghost.machine.opened(event)[1]["body"] == "once"
    with pytest.raises(Undecipherable):
        ghost.machine.opened({**event, "event_id": "$again"})


def test_an_event_need_not_say_whose_key_it_is(alice: Peer, ghost: Peer) -> None:
    meet(alice, ghost)
    alice.gives(ghost)
    content = alice.says("new form")["content"]
    bare = {key: value for key, value in content.items() if key not in ("sender_key", "device_id")}
    assert ghost.machine.opened(_event(ALICE, bare))[1]["body"] == "new form"


MALLORY = "@mallory:elsewhere"
KEYS: dict[str, Any] = {
    "user_id": MALLORY,
    "device_id": "M",
    "algorithms": [],
    "keys": {"ed25519:M": "A" * 43, "curve25519:M": "A" * 43},
    "signatures": {MALLORY: {"ed25519:M": "A" * 86}},
}
MALFORMED: list[Any] = [
    None,
    [],
    {},
    {key: value for key, value in KEYS.items() if key != "algorithms"},
    {key: value for key, value in KEYS.items() if key != "user_id"},
    {**KEYS, "user_id": ALICE},
    {**KEYS, "keys": {**KEYS["keys"], "ed25519:M": "no key"}},
    {**KEYS, "keys": {**KEYS["keys"], "curve25519:M": "no key"}},
    {**KEYS, "keys": {}},
    {**KEYS, "signatures": []},
    {**KEYS, "unsigned": 3},
    KEYS,
]


def devices_of(peer: Peer) -> set[str]:
    return {device.id for device in peer.machine._olm.device_store.active_user_devices(ALICE)}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_what_strangers_call_a_device_hides_nothing_from_others(alice: Peer, ghost: Peer, malformed: Any) -> None:
    members = frozenset({ALICE, MALLORY})
    parts = {MALLORY: {"M": malformed}, ALICE: {"ALICES": alice.device_keys, "M": malformed}}
    ghost.machine.queried(sorted(members), {"device_keys": parts})
    assert devices_of(ghost) == {"ALICES"}
    assert ghost.machine.to_query(members) == []
    assert not ghost.machine.unheard(members)
    assert ghost.machine.unheard(frozenset({MALLORY})), "there may be a device"


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_known_device_stays_when_its_keys_cannot_be_read(alice: Peer, ghost: Peer, malformed: Any) -> None:
    ghost.knows(alice)
    ghost.machine.queried([ALICE], {"device_keys": {ALICE: {"ALICES": malformed}}})
    assert devices_of(ghost) == {"ALICES"}
    ghost.machine.queried([ALICE], {"device_keys": {ALICE: {}}})
    assert devices_of(ghost) == set()


@pytest.mark.parametrize(
    "answer", [{}, {"device_keys": None}, {"device_keys": {ALICE: None}}, {"device_keys": {ALICE: 3}}]
)
def test_an_answer_that_cannot_be_read_is_asked_for_again_at_once(alice: Peer, ghost: Peer, answer: Any) -> None:
    members = frozenset({ALICE})
    ghost.machine.queried([ALICE], answer)
    assert ghost.machine.to_query(members) == [ALICE]
    assert ghost.machine.unheard(members)
    ghost.knows(alice)
    assert not ghost.machine.unheard(members)


def test_a_server_that_does_not_answer_is_left_alone_for_a_while(ghost: Peer) -> None:
    members = frozenset({ALICE})
    ghost.machine.queried([ALICE], {"device_keys": {}, "failures": {"hs": {}}})
    assert ghost.machine.to_query(members) == []
    assert ghost.machine.unheard(members)


def test_a_room_of_people_without_devices_is_written_into(ghost: Peer) -> None:
    """To wait would help nobody: there is no device."""
    assert not ghost.machine.unheard(frozenset())
    ghost.machine.queried([ALICE], {"device_keys": {ALICE: {}}})
    assert not ghost.machine.unheard(frozenset({ALICE}))
    assert ghost.machine.to_query(frozenset({ALICE})) == []
