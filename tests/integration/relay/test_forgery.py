"""A thousand envelopes that somebody changed on the way: none is taken for what its sender wrote."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable, Mapping
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.canonical import JsonObject, sha256_hex, stringify
from gateway.dm3.encryption import decrypt, encrypt
from gateway.dm3.envelope import Dialect, canonical_envelope, envelope_id, envelope_to_json, parse_envelope
from gateway.dm3.keys import signing_pair
from gateway.dm3.signing import sign
from gateway.errors import DecryptionFailed
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.clients import Api, logged_in, offer
from tests.integration.relay.envelopes import keys_of, sealed
from tests.support.house import House, rpc, running_house

MUTATIONS = 1_000
ROOM = {f"DM3_GATEWAY__RELAY__{key}": "100000" for key in ("MAILBOX_MESSAGES", "SENDER_MESSAGES")}
LENIENT = {**ROOM, "DM3_GATEWAY__RELAY__REQUIRE_VERIFIED_SENDER": "false"}

Change = Callable[[dict[str, Any], random.Random], None]


def flip_in(text: str, chance: random.Random) -> str:
    """The text with one of its characters changed to another of the kind."""
    at = chance.randrange(len(text))
    kinds = ("0123456789abcdef", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/")
    kind = kinds[0] if text[at] in kinds[0] else kinds[1]
    return text[:at] + chance.choice([each for each in kind if each != text[at]]) + text[at + 1 :]


def flip_bit(encoded: str, chance: random.Random) -> str:
    """Base64 of the same bytes but for one bit."""
    data = bytearray(base64.b64decode(encoded))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return base64.b64encode(data).decode()


def change_inside(key: str) -> Change:
    """Changes a part of a sealed text: ciphertext, nonce or ephemeral key."""

    def change(envelope: dict[str, Any], chance: random.Random) -> None:
        holder = envelope if key == "message" else envelope["metadata"]
        payload = json.loads(holder[key])
        part = chance.choice(sorted(payload))
        payload[part] = flip_in(payload[part], chance) if part == "nonce" else flip_bit(payload[part], chance)
        holder[key] = stringify(payload)

    return change


def change_text(key: str) -> Change:
    """Changes one character of a field of the metadata."""

    def change(envelope: dict[str, Any], chance: random.Random) -> None:
        if key in envelope["metadata"]:
            envelope["metadata"][key] = flip_in(envelope["metadata"][key], chance)
        else:
            envelope["metadata"][key] = sha256_hex(str(chance.random()))

    return change


def flip_signature(envelope: dict[str, Any], chance: random.Random) -> None:
    envelope["metadata"]["signature"] = flip_bit(envelope["metadata"]["signature"], chance)


def add_field(envelope: dict[str, Any], chance: random.Random) -> None:
    envelope["metadata"][f"x-{chance.randrange(10**9)}"] = chance.choice([None, 0, "", [], {}, "x"])


def leave_out(envelope: dict[str, Any], chance: random.Random) -> None:
    del envelope["metadata"][chance.choice(sorted(envelope["metadata"]))]


def of_another_kind(envelope: dict[str, Any], chance: random.Random) -> None:
    envelope["metadata"][chance.choice(sorted(envelope["metadata"]))] = chance.choice([None, 0, True, "", [], {}])


class Forger:
    """Changes that need more than the envelope: what anybody can do who knows the service's public key."""

    def __init__(self, house: House) -> None:
        self._service = house.gateway.service_profile.public_encryption_key
        self._mallory = keys_of(house, "mallory").signing

    def in_another_name(self, envelope: dict[str, Any], chance: random.Random) -> None:
        """Readdressed, with the signature of the sender left as it is."""
        names: JsonObject = {"to": "bob.eth", "from": chance.choice(["alice.eth", "carol.eth", "bob.eth", "ALICE.eth"])}
        envelope["metadata"]["deliveryInformation"] = encrypt(self._service, stringify(names))

    def signed_by_somebody(self, envelope: dict[str, Any], chance: random.Random) -> None:
        """In the sender's name, with a signature that is right but not theirs."""
        metadata = envelope["metadata"]
        metadata.pop("signature")
        metadata["version"] = f"v{chance.randrange(10**9)}"
        metadata["signature"] = sign(chance.choice([self._mallory, signing_pair()]), stringify(metadata))


def mutations(house: House, originals: Mapping[str, str], number: int) -> dict[str, str]:
    """Changed envelopes and, for each, which original was changed and how; no two alike."""
    forger = Forger(house)
    changes: dict[str, Change] = {
        "message": change_inside("message"),
        "deliveryInformation": change_inside("deliveryInformation"),
        "messageHash": change_text("messageHash"),
        "encryptedMessageHash": change_text("encryptedMessageHash"),
        "version": change_text("version"),
        "scheme": change_text("encryptionScheme"),
        "signature": change_text("signature"),
        "bit of the signature": flip_signature,
        "field more": add_field,
        "field less": leave_out,
        "field of another kind": of_another_kind,
        "readdressed": forger.in_another_name,
        "signed by somebody": forger.signed_by_somebody,
    }
    chance, made = random.Random(20), dict[str, str]()
    for (how, change), (which, original) in cycle(product(changes.items(), originals.items())):
        if len(made) == number:
            break
        envelope = json.loads(original)
        change(envelope, chance)
        made.setdefault(stringify(envelope), f"{which}: {how}")
    assert made.keys().isdisjoint(originals.values())
    return made


async def offer_all(house: House, texts: list[str]) -> list[int]:
    """The statuses of all submissions, sixteen at a time."""
    gate = asyncio.Semaphore(16)

    async def one(text: str) -> int:
        async with gate:
            answer = await rpc(house, "dm3_submitMessage", text)
            assert answer.status_code < 500, answer.text
            assert answer.status_code != 429, answer.text
            return answer.status_code

    return await asyncio.gather(*map(one, texts))


async def everything(api: Api) -> list[dict[str, Any]]:
    """All pages of the mailbox."""
    found: list[dict[str, Any]] = []
    cursor = 0
    while True:
        page = (await api.get("mailbox", limit=1000, cursor=cursor)).json()
        if not page["envelopes"]:
            return found
        found += page["envelopes"]
        cursor = page["cursor"]


@pytest.mark.weakness(2)
@pytest.mark.attack(3)
async def test_none_of_a_thousand_changed_envelopes_passes_for_verified(tmp_path: Path) -> None:
    """At a relay that takes mail of unverified senders, so that what it calls verified can be counted.

    In the two forms whose metadata does not name the encrypted message a relay cannot see that somebody exchanged it;
    there the recipient, who opens it, must see no other message than the sender's.
    """
    async with running_house(tmp_path / "house", overrides=LENIENT, working=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        await house.native("carol.eth", "carol")
        originals = {
            dialect.value: canonical_envelope(sealed(house, alice, bob, dialect=dialect)) for dialect in Dialect
        }
        changed = mutations(house, originals, MUTATIONS)
        answers = await offer_all(house, list(changed))
        accepted = {text for text, status in zip(changed, answers, strict=True) if status == 200}
        assert MUTATIONS // 4 < len(accepted) < MUTATIONS
        kinds = {envelope_id(bob.address, parse_envelope(text)): changed[text] for text in accepted}
        stored = await everything(await logged_in(house, bob, "bob"))
        assert {each["id"] for each in stored} == set(kinds)
        verified = [each for each in stored if each["verified"]]
        assert {kinds[each["id"]] for each in verified} == {"develop: message", "spec: message"}
        for each in verified:
            with pytest.raises(DecryptionFailed):
                decrypt(keys_of(house, "bob").encryption, each["envelope"]["message"])
        assert {each.message.text for each in await bob.fetch()} == {"hello"}, "what can be opened is what was written"
        for original in originals.values():
            assert (await rpc(house, "dm3_submitMessage", original)).status_code == 200
        stored = await everything(await logged_in(house, bob, "bob"))
        real = {envelope_id(bob.address, parse_envelope(original)) for original in originals.values()}
        assert real <= {each["id"] for each in stored if each["verified"]}


@pytest.mark.weakness(2)
@pytest.mark.attack(3)
async def test_a_relay_that_wants_verified_senders_takes_none_of_them(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    """By default. The exchanged message of an older client is refused, too, because its metadata names its hash."""
    original, other = (
        envelope_to_json(sealed(house, alice, bob, dialect=Dialect.NPM, text=text)) for text in ("one", "other")
    )
    answer = await rpc(house, "dm3_submitMessage", {**original, "message": other["message"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, -32003)
    changed = mutations(house, {"npm": stringify(original)}, 100)
    assert set(await offer_all(house, list(changed))) <= {400, 401, 404}
    assert await bob.fetch() == []
    assert (await offer(house, sealed(house, alice, bob))).status_code == 200
