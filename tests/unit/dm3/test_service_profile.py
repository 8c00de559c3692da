"""Delivery service profiles: round trip, exact fields, bad input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import DeliveryServiceProfile, parse_service_profile
from gateway.errors import BadProfile
from tests.unit.dm3.vectors import load

KEYS = ServiceKeys.from_seeds(b"\x61" * 32, b"\x62" * 32)
PROFILE = DeliveryServiceProfile.of(KEYS, "https://gw.example/ds")


def test_the_reference_profile_is_read() -> None:
    value = load("envelope_and_postmark")["inputs"]["deliveryServiceProfile"]
    profile = parse_service_profile(value)
    assert profile.to_json() == value
    assert profile.url == "http://127.0.0.1:1/ds"


def test_own_profile() -> None:
    assert PROFILE.public_signing_key == KEYS.signing.public
    assert PROFILE.public_encryption_key == KEYS.encryption.public
    assert PROFILE.to_json().keys() == {"publicSigningKey", "publicEncryptionKey", "url"}
    assert parse_service_profile(PROFILE.to_text()) == PROFILE
    assert parse_service_profile(PROFILE.to_text().encode()) == PROFILE


def changed(**changes: Any) -> dict[str, Any]:
    return {key: item for key, item in (PROFILE.to_json() | changes).items() if item is not ...}


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {},
        changed(url=...),
        changed(url=None),
        changed(url="ftp://gw.example"),
        changed(url="javascript:alert(1)"),
        changed(url="https://" + "a" * 2048),
        changed(publicSigningKey=...),
        changed(publicSigningKey="AAAA"),
        changed(publicEncryptionKey=7),
        changed(extra=1),
    ],
)
def test_bad_profiles(value: Any) -> None:
    with pytest.raises(BadProfile):
        parse_service_profile(json.dumps(value))


def test_size_is_bounded() -> None:
    with pytest.raises(BadProfile):
        parse_service_profile(PROFILE.to_text(), max_bytes=len(PROFILE.to_text()) - 1)


@given(st.text(max_size=80))
def test_garbage(text: str) -> None:
    with pytest.raises(BadProfile):
        parse_service_profile(text)
