"""The published reference libraries (npm 1.7.1) read what we write and write what we read, with fresh keys."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.dm3.auth import sign_challenge, verify_challenge
from gateway.dm3.canonical import Json, parse_object, stringify
from gateway.dm3.encoding import from_base64, to_base64
from gateway.dm3.encryption import SealingKey, decrypt, encrypt
from gateway.dm3.envelope import (
    DeliveryInformation,
    Dialect,
    Envelope,
    envelope_hashes,
    envelope_to_json,
    open_delivery_information,
    parse_envelope,
    picked_up,
    seal,
    verify_envelope,
)
from gateway.dm3.eth import address_of, checksum, parse_address, sign_text
from gateway.dm3.keys import KeyPair, ProfileKeys, ServiceKeys, storage_key_from_signature, storage_key_text
from gateway.dm3.message import (
    Attachment,
    Message,
    MessageType,
    message_hash,
    message_to_json,
    parse_message,
    sign_message,
    verify_message,
)
from gateway.dm3.nameprep import conversation_id, nameprep
from gateway.dm3.postmark import make_postmark, open_postmark, postmark_hash, verify_postmark
from gateway.dm3.profile import (
    DeliveryServiceProfile,
    UserProfile,
    data_uri,
    parse_signed_profile,
    sign_profile,
    verify_profile,
)
from gateway.errors import InvalidName
from gateway.ids import EnsName, IdentityId, MessageHash, Network
from gateway.resolver.sources import identity_records
from gateway.store.identities import Identity
from tests.support.node import JS_FOLDER, NodeError, NodeScript

REFERENCE = MessageHash("0x" + "cd" * 32)
TYPES = [kind for kind in MessageType if kind is not MessageType.RESEND_REQUEST]
"""The reference has no factory for RESEND_REQUEST."""


@pytest.fixture(scope="module")
def reference() -> Iterator[NodeScript]:
    script = NodeScript(JS_FOLDER / "dm3" / "reference.cjs")
    yield script
    script.close()


@dataclass(frozen=True)
class World:
    """Fresh keys of two people and one delivery service."""

    alice: ProfileKeys
    bob: ProfileKeys
    service: ServiceKeys

    @property
    def service_profile(self) -> DeliveryServiceProfile:
        return DeliveryServiceProfile.of(self.service, "https://gw.example/ds")


@pytest.fixture
def world() -> World:
    return World(
        ProfileKeys.from_storage_key(secrets.token_bytes(32)),
        ProfileKeys.from_storage_key(secrets.token_bytes(32)),
        ServiceKeys.generate(),
    )


def pair_json(pair: KeyPair) -> dict[str, str]:
    return {"publicKey": to_base64(pair.public), "privateKey": to_base64(pair.private)}


def keys_json(keys: ProfileKeys | ServiceKeys) -> dict[str, Any]:
    return {"encryptionKeyPair": pair_json(keys.encryption), "signingKeyPair": pair_json(keys.signing)}


def draft(kind: MessageType, **changes: Any) -> Message:
    message = Message("bob.eth", "alice.eth", kind, time.time_ns() // 1_000_000, "Grüße 👋")
    if kind is not MessageType.NEW:
        message = replace(message, reference=REFERENCE)
    return replace(message, **changes)


def sealed(world: World, dialect: Dialect, message: Message | None = None) -> Envelope:
    message = message or sign_message(draft(MessageType.NEW), world.alice.signing)
    return seal(
        message, world.bob.encryption.public, world.service.encryption.public, world.alice.signing, dialect=dialect
    )


# --- keys and profiles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("_turn", range(3))
def test_the_same_keys_from_the_same_wallet(reference: NodeScript, _turn: int) -> None:
    wallet = secrets.token_bytes(32)
    made = reference.call("createProfile", walletKey="0x" + wallet.hex(), services=["ds.gw.eth"])
    address = parse_address(made["address"])
    assert address == address_of(wallet)
    ours = ProfileKeys.from_storage_key(storage_key_from_signature(sign_text(wallet, storage_key_text(address))))
    assert made["keys"]["encryptionKeyPair"] == pair_json(ours.encryption)
    assert made["keys"]["signingKeyPair"] == pair_json(ours.signing)
    theirs = parse_signed_profile(json.dumps(made["signed"]))
    assert verify_profile(theirs, address)
    profile = UserProfile(ours.encryption.public, ours.signing.public, ("ds.gw.eth",))
    assert sign_profile(profile, wallet) == theirs


@pytest.mark.parametrize(
    "services", [("ds.gw.eth",), ("ds.gw.eth", "backup.eth"), (), ("ds.ξένος.eth",), ("ds.💩.eth",)]
)
def test_our_profile_passes_the_reference_check(reference: NodeScript, services: tuple[str, ...]) -> None:
    wallet = secrets.token_bytes(32)
    keys = ProfileKeys.from_storage_key(secrets.token_bytes(32))
    signed = sign_profile(UserProfile(keys.encryption.public, keys.signing.public, services), wallet)
    address = checksum(address_of(wallet))
    assert reference.call("fitsSchema", kind="profile", value=signed.to_json()) is True
    assert reference.call("checkProfile", signed=signed.to_json(), address=address) is True
    assert reference.call("readProfileUri", uri=data_uri(signed.to_text())) == signed.to_json()
    other = checksum(address_of(secrets.token_bytes(32)))
    assert reference.call("checkProfile", signed=signed.to_json(), address=other) is False


def test_a_bridged_person_s_profile_passes_the_reference_check(reference: NodeScript) -> None:
    """Signed by the identity's own derived key, as custody makes it and the resolver serves it."""
    services = (EnsName("ds.gw.eth"),)
    keyring = Keyring(MasterSeed(secrets.token_bytes(32)), delivery_services=services, max_ttl_ms=1)
    draft = Identities(keyring, EnsName("gw.eth")).draft(Network("email"), "bob@example.org", now_ms=1)
    fields = {slot: getattr(draft, slot) for slot in draft.__dataclass_fields__ if slot != "tombstone"}
    identity = Identity(id=IdentityId(1), rotated_at=None, **fields)
    signed = keyring.keys(identity).signed_profile
    assert reference.call("checkProfile", signed=signed.to_json(), address=checksum(identity.address)) is True
    record = identity_records(identity, signed).texts["network.dm3.profile"]
    assert reference.call("readProfileUri", uri=record) == signed.to_json()


def test_our_service_profile_fits_the_schema(reference: NodeScript, world: World) -> None:
    assert reference.call("fitsSchema", kind="service", value=world.service_profile.to_json()) is True


@pytest.mark.parametrize("size", [0, 1, 31, 32])
def test_seeds_give_the_same_pairs(reference: NodeScript, size: int) -> None:
    seed = (secrets.token_bytes(size) + bytes(32))[:32]
    ours = ProfileKeys.from_storage_key(seed)
    theirs = reference.call("keyPairs", seed=to_base64(seed))
    assert theirs == {"encryption": pair_json(ours.encryption), "signing": pair_json(ours.signing)}


# --- encryption and signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 100_000])
def test_sealed_texts_open_on_both_sides(reference: NodeScript, world: World, size: int) -> None:
    text = ("👋 Grüße \x00" * size)[:size]
    theirs = reference.call("seal", publicKey=world.bob.encryption.public_base64, text=text)
    assert decrypt(world.bob.encryption, theirs) == text
    ours = encrypt(world.bob.encryption.public, text)
    assert reference.call("open", keyPair=pair_json(world.bob.encryption), sealed=ours) == text


def test_a_wrong_key_opens_nothing_on_their_side(reference: NodeScript, world: World) -> None:
    ours = encrypt(world.bob.encryption.public, "text")
    with pytest.raises(NodeError, match="cannot be decrypted"):
        reference.call("open", keyPair=pair_json(world.alice.encryption), sealed=ours)


def test_challenges(reference: NodeScript, world: World) -> None:
    challenge = "eyJhbGciOiJIUzI1NiJ9." + secrets.token_urlsafe(40) + "." + secrets.token_urlsafe(20)
    ours = sign_challenge(world.alice.signing, challenge)
    public = world.alice.signing.public_base64
    assert reference.call("checkText", text=challenge, publicKey=public, signature=ours) is True
    theirs = reference.call("signText", keyPair=pair_json(world.alice.signing), text=challenge)
    assert theirs == ours
    assert verify_challenge(world.alice.signing.public, challenge, theirs)


# --- messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_their_messages_verify_here(reference: NodeScript, world: World, kind: MessageType) -> None:
    made = reference.call(
        "createMessage",
        type=kind.value,
        to="bob.eth",
        **{"from": "alice.eth"},
        text="Grüße 👋",
        key=to_base64(world.alice.signing.private),
        reference=REFERENCE,
        attachments=[{"name": "a.txt", "data": "data:text/plain;base64,aGk="}],
    )
    message = parse_message(json.dumps(made))
    assert verify_message(message, world.alice.signing.public)
    assert not verify_message(message, world.bob.signing.public)
    assert message.type is kind
    assert message.reference == (None if kind is MessageType.NEW else REFERENCE)
    assert message_hash(message) == reference.call("hash", value=made)
    tampered = parse_message(json.dumps(made | {"message": "other"}))
    assert not verify_message(tampered, world.alice.signing.public)


ATTACHMENTS = [None, (), (Attachment("data:,x", "ä.txt"), Attachment("https://example.org/x"))]


@pytest.mark.parametrize("kind", MessageType)
@pytest.mark.parametrize("attachments", ATTACHMENTS, ids=["absent", "empty", "two"])
def test_our_messages_verify_there(
    reference: NodeScript, world: World, kind: MessageType, attachments: tuple[Attachment, ...] | None
) -> None:
    message = sign_message(draft(kind, attachments=attachments, reply_instruction="room:!a:b"), world.alice.signing)
    value = message_to_json(message)
    public = world.alice.signing.public_base64
    assert reference.call("fitsSchema", kind="message", value=value) is True
    assert reference.call("checkMessage", message=value, publicKey=public) is True
    assert reference.call("checkMessage", message=value, publicKey=world.bob.signing.public_base64) is False
    assert reference.call("hash", value=value) == message_hash(message)


# --- envelopes, the whole way -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", Dialect)
def test_our_envelope_through_their_service_to_their_client(
    reference: NodeScript, world: World, dialect: Dialect
) -> None:
    message = sign_message(draft(MessageType.NEW, attachments=(Attachment("data:,x"),)), world.alice.signing)
    envelope = envelope_to_json(sealed(world, dialect, message))
    served = reference.call(
        "serveEnvelope",
        envelope=envelope,
        serviceKeys=keys_json(world.service),
        recipientKey=world.bob.encryption.public_base64,
    )
    assert served["decryptedDeliveryInformation"] == {"to": "bob.eth", "from": "alice.eth"}
    opened = reference.call(
        "openEnvelope", envelope=served["encryptedEnvelop"], keyPair=pair_json(world.bob.encryption)
    )
    assert opened["message"] == message_to_json(message)
    public = world.alice.signing.public_base64
    assert reference.call("checkMessage", message=opened["message"], publicKey=public) is True
    assert reference.call("checkSigned", value=envelope["metadata"], publicKey=public) is True


def test_each_generation_takes_only_its_own_fields(reference: NodeScript, world: World) -> None:
    fits = {
        dialect: reference.call("fitsSchema", kind="envelope", value=envelope_to_json(sealed(world, dialect)))
        for dialect in Dialect
    }
    assert fits == {Dialect.NPM: True, Dialect.DEVELOP: False, Dialect.SPEC: False}


def test_the_npm_hash_is_the_one_they_compute(reference: NodeScript, world: World) -> None:
    envelope = sealed(world, Dialect.NPM)
    assert envelope.metadata.encrypted_message_hash == reference.call("hash", value=envelope.message)


@pytest.mark.parametrize("kind", TYPES)
def test_their_envelope_is_opened_and_verified_here(reference: NodeScript, world: World, kind: MessageType) -> None:
    fields: dict[str, Any] = {"to": "bob.eth", "from": "alice.eth", "text": "hi", "reference": REFERENCE}
    made = reference.call("createMessage", type=kind.value, key=to_base64(world.alice.signing.private), **fields)
    built = reference.call(
        "buildEnvelope",
        message=made,
        recipientKey=world.bob.encryption.public_base64,
        serviceProfile=world.service_profile.to_json(),
        keys=keys_json(world.alice),
    )
    envelope = parse_envelope(json.dumps(built))
    assert verify_envelope(envelope, world.alice.signing.public)
    assert not verify_envelope(envelope, world.bob.signing.public)
    assert open_delivery_information(envelope, world.service) == DeliveryInformation("bob.eth", "alice.eth")
    message = parse_message(decrypt(world.bob.encryption, envelope.message))
    assert verify_message(message, world.alice.signing.public)
    assert message.type is kind
    assert envelope_hashes(envelope) == (reference.call("hash", value=envelope.message),) * 2


@pytest.mark.parametrize("dialect", Dialect)
def test_what_our_service_hands_out_their_client_opens(reference: NodeScript, world: World, dialect: Dialect) -> None:
    now = time.time_ns() // 1_000_000
    envelope = sealed(world, dialect)
    information = open_delivery_information(envelope, world.service)
    sealing = SealingKey.towards(world.bob.encryption.public)
    postmark = make_postmark(envelope, information, sealing, world.service.signing, now)
    out = parse_object(picked_up(envelope, information, postmark), max_bytes=100_000)
    opened = reference.call("openEnvelope", envelope=out, keyPair=pair_json(world.bob.encryption))
    assert opened["metadata"]["deliveryInformation"] == {"to": "bob.eth", "from": "alice.eth"}
    assert opened["postmark"]["incommingTimestamp"] == now
    assert opened["postmark"]["messageHash"] == reference.call("hashText", text=stringify(envelope.message))
    unsigned: dict[str, Json] = {key: value for key, value in opened["postmark"].items() if key != "signature"}
    assert (
        reference.call(
            "checkText",
            text=reference.call("hash", value=unsigned),
            publicKey=world.service.signing.public_base64,
            signature=opened["postmark"]["signature"],
        )
        is True
    )


def test_their_postmark_is_opened_and_verified_here(reference: NodeScript, world: World) -> None:
    envelope = sealed(world, Dialect.NPM)
    before = time.time_ns() // 1_000_000 - 60_000
    served = reference.call(
        "serveEnvelope",
        envelope=envelope_to_json(envelope),
        serviceKeys=keys_json(world.service),
        recipientKey=world.bob.encryption.public_base64,
    )
    postmark = open_postmark(world.bob.encryption, served["encryptedEnvelop"]["postmark"])
    assert postmark.message_hash == postmark_hash(envelope)
    assert postmark.incoming_timestamp > before
    assert verify_postmark(postmark, envelope, world.service.signing.public)
    assert not verify_postmark(postmark, envelope, world.alice.signing.public)


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Alice.ETH", "faß.eth", "ξένος.echo.eth", "İ.eth", "ﬁ.eth", "名前.eth"])
def test_names_fold_alike(reference: NodeScript, name: str) -> None:
    assert nameprep(name) == reference.call("normalise", name=name)
    assert conversation_id(name, "bob.eth") == reference.call("conversation", receiver=name, sender="bob.eth")


@pytest.mark.parametrize("name", ["💩.echo.eth", "👨‍👩‍👧.eth", "-a.eth", "a\u1680.eth"])
def test_names_that_their_clients_cannot_write_to(reference: NodeScript, name: str) -> None:
    with pytest.raises(NodeError):
        reference.call("normalise", name=name)
    with pytest.raises(InvalidName):
        nameprep(name)


def test_base64_of_keys_is_theirs(reference: NodeScript) -> None:
    pairs = reference.call("keyPairs", seed=to_base64(bytes(32)))
    assert len(from_base64(pairs["signing"]["privateKey"], "key", length=64)) == 64
