"""User profiles: the reference's bytes and verdicts, and refusal of every other shape."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import stringify
from gateway.dm3.eth import address_of, parse_address
from gateway.dm3.keys import ProfileKeys
from gateway.dm3.profile import (
    SignedProfile,
    UserProfile,
    data_uri,
    parse_signed_profile,
    registration_text,
    sign_profile,
    verify_profile,
)
from gateway.errors import BadProfile, InvalidInput
from gateway.ids import EthAddress
from tests.unit.dm3.vectors import ids, load

DERIVED = load("key_derivation_and_profile")["vectors"]
CHECKS = load("profile_checks")["vectors"]
WALLET = b"\x51" * 32
KEYS = ProfileKeys.from_storage_key(b"\x52" * 32)
PROFILE = UserProfile(KEYS.encryption.public, KEYS.signing.public, ("ds.gw.eth",))
SIGNED = sign_profile(PROFILE, WALLET)


@pytest.mark.parametrize("vector", DERIVED, ids=ids(DERIVED))
def test_the_reference_profile_byte_for_byte(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    profile = UserProfile.from_json(expected["profile"])
    assert stringify(profile.to_json()) == expected["profileStringified"]
    address = EthAddress(inputs["ethAddressLower"])
    assert registration_text(profile, address) == expected["profileCreationMessage"]
    signed = sign_profile(profile, bytes.fromhex(inputs["ethPrivateKey"][2:]))
    assert signed.signature == expected["signature"]
    assert signed.to_text() == expected["signedUserProfileStringified"]
    assert data_uri(signed.to_text()) == expected["dataUri"]
    assert parse_signed_profile(expected["signedUserProfileStringified"]) == signed
    assert verify_profile(signed, address)


@pytest.mark.parametrize("vector", CHECKS, ids=ids(CHECKS))
def test_the_reference_verdicts(vector: dict[str, Any]) -> None:
    signed = parse_signed_profile(json.dumps(vector["inputs"]["signedUserProfile"]))
    # Where the reference throws on a malformed signature, the verdict here is a plain no.
    assert verify_profile(signed, parse_address(vector["inputs"]["address"])) is (vector["referenceResult"] is True)


def test_another_address_or_any_change_is_refused() -> None:
    address = address_of(WALLET)
    assert verify_profile(SIGNED, address)
    assert not verify_profile(SIGNED, address_of(b"\x53" * 32))
    changes = [
        replace(PROFILE, delivery_services=()),
        replace(PROFILE, delivery_services=("ds.gw.eth", "other.eth")),
        replace(PROFILE, public_encryption_key=bytes(32)),
        replace(PROFILE, public_signing_key=bytes(32)),
    ]
    for changed in changes:
        assert not verify_profile(SignedProfile(changed, SIGNED.signature), address)


@given(st.lists(st.text("abc.é", min_size=1, max_size=20), max_size=5))
def test_round_trip(services: list[str]) -> None:
    signed = sign_profile(replace(PROFILE, delivery_services=tuple(services)), WALLET)
    assert parse_signed_profile(signed.to_text()) == signed
    assert parse_signed_profile(signed.to_json()) == signed
    assert verify_profile(parse_signed_profile(signed.to_text()), address_of(WALLET))


def test_exactly_the_fields_that_clients_accept() -> None:
    value = SIGNED.to_json()
    assert value.keys() == {"profile", "signature"}
    assert PROFILE.to_json().keys() == {"publicEncryptionKey", "publicSigningKey", "deliveryServices"}


def changed(**changes: Any) -> Any:
    profile = {key: item for key, item in (PROFILE.to_json() | changes).items() if item is not ...}
    return {"profile": profile, "signature": SIGNED.signature}


KEY = base64.b64encode(bytes(32)).decode()
BAD: dict[str, Any] = {
    "unsigned": PROFILE.to_json(),
    "no signature": {"profile": PROFILE.to_json()},
    "signature a number": {"profile": PROFILE.to_json(), "signature": 1},
    "signature long": {"profile": PROFILE.to_json(), "signature": "0x" + "0" * 131},
    "profile a text": {"profile": "{}", "signature": "0x"},
    "more beside the profile": SIGNED.to_json() | {"x": 1},
    "more in the profile": changed(mutable=True),
    "the specification's misspelling": changed(deliveryServices=..., deliveryService=["ds.eth"]),
    "no encryption key": changed(publicEncryptionKey=...),
    "key a number": changed(publicEncryptionKey=1),
    "key of 31 bytes": changed(publicSigningKey=base64.b64encode(bytes(31)).decode()),
    "key not canonical": changed(publicSigningKey=KEY[:-2] + "B="),
    "key in hex": changed(publicSigningKey="0x" + "0" * 64),
    "services a text": changed(deliveryServices="ds.eth"),
    "service a number": changed(deliveryServices=[1]),
    "service empty": changed(deliveryServices=[""]),
    "service long": changed(deliveryServices=["a" * 256]),
    "too many services": changed(deliveryServices=["a.eth"] * 33),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_profiles(name: str) -> None:
    with pytest.raises(BadProfile):
        parse_signed_profile(json.dumps(BAD[name]))
    with pytest.raises(BadProfile):
        parse_signed_profile(BAD[name])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff", '{"profile":1,"profile":1,"signature":""}'])
def test_no_profile_at_all(text: str | bytes) -> None:
    with pytest.raises(BadProfile):
        parse_signed_profile(text)


def test_size_is_bounded() -> None:
    text = SIGNED.to_text()
    assert parse_signed_profile(text, max_bytes=len(text)) == SIGNED
    with pytest.raises(BadProfile):
        parse_signed_profile(text, max_bytes=len(text) - 1)


def test_a_wallet_key_that_is_none() -> None:
    with pytest.raises(InvalidInput):
        sign_profile(PROFILE, bytes(32))


@given(st.text(max_size=80))
def test_garbage(text: str) -> None:
    with pytest.raises(BadProfile):
        parse_signed_profile(text)
