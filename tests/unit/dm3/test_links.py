"""Alias claims and profile links: the reference's texts and signatures, and who may speak for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.dm3.eth import address_of, checksum
from gateway.dm3.keys import signing_pair
from gateway.dm3.links import (
    LinkKind,
    ProfileLink,
    claim_text,
    removal_text,
    sign_address_link,
    sign_claim,
    sign_profile_link,
    sign_removal,
    verify_address_link,
    verify_claim,
    verify_profile_link,
    verify_removal,
)
from gateway.ids import EnsName
from tests.unit.dm3.vectors import load, pair

FILE = load("auth_alias_links")
KEY = signing_pair(b"\x81" * 32)


def link_of(fields: dict[str, Any]) -> ProfileLink:
    return ProfileLink(
        kind=LinkKind(fields["type"]),
        main_id=fields["mainId"],
        linked_profile=EnsName(fields["linkedProfile"]),
        scope_uri=fields["scopeUri"],
        issued_at=fields["issuedAt"],
        nonce=fields["nonce"],
        expires_at=fields["expirationTime"],
    )


def test_alias_vector() -> None:
    inputs, expected = FILE["alias"]["inputs"], FILE["alias"]["expected"]
    key, name = pair(inputs["signingKeyPair"]), inputs["dm3Name"]
    assert claim_text(name) == expected["claimPayload"]
    assert removal_text(name) == expected["removePayload"]
    assert sign_claim(key, name) == expected["claimSignature"]
    assert sign_removal(key, name) == expected["removeSignature"]
    assert verify_claim(key.public, name, expected["claimSignature"])
    assert verify_removal(key.public, name, expected["removeSignature"])


def test_a_claim_is_no_removal_and_no_claim_of_another_name() -> None:
    claim = sign_claim(KEY, "a.gw.eth")
    assert verify_claim(KEY.public, "a.gw.eth", claim)
    assert not verify_claim(KEY.public, "b.gw.eth", claim)
    assert not verify_removal(KEY.public, "a.gw.eth", claim)
    assert not verify_claim(KEY.public, "a.gw.eth", sign_removal(KEY, "a.gw.eth"))


@pytest.mark.parametrize("vector", FILE["profileLink"], ids=["profile", "address"])
def test_profile_link_vectors(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    link = link_of(inputs["profileLink"])
    assert link.to_text() == expected["message"]
    if "ethPrivateKey" in inputs:
        wallet = bytes.fromhex(inputs["ethPrivateKey"][2:])
        assert sign_address_link(link, wallet) == expected["signature"]
        assert verify_address_link(link, address_of(wallet), expected["signature"])
        assert not verify_profile_link(link, KEY.public, expected["signature"])
    else:
        key = pair(inputs["signingKeyPair"])
        assert sign_profile_link(link, key) == expected["signature"]
        assert verify_profile_link(link, key.public, expected["signature"])
        assert not verify_address_link(link, address_of(b"\x01" * 32), expected["signature"])


@pytest.mark.parametrize(
    "change",
    [
        {"main_id": "other.eth"},
        {"linked_profile": "other.eth"},
        {"scope_uri": "https://evil.example"},
        {"issued_at": 2},
        {"nonce": 8},
        {"expires_at": None},
    ],
)
def test_every_field_is_signed(change: dict[str, Any]) -> None:
    link = ProfileLink(LinkKind.PROFILE, "main.eth", EnsName("app.main.eth"), "https://app.example", 1, 7, 9)
    signature = sign_profile_link(link, KEY)
    assert verify_profile_link(link, KEY.public, signature)
    assert not verify_profile_link(replace(link, **change), KEY.public, signature)


def test_a_wallet_links_only_itself() -> None:
    wallet, other = b"\x01" * 32, b"\x02" * 32
    link = ProfileLink(LinkKind.ADDRESS, checksum(address_of(wallet)), EnsName("app.eth"), "https://a.example", 1, 7)
    assert verify_address_link(link, address_of(wallet), sign_address_link(link, wallet))
    assert not verify_address_link(link, address_of(other), sign_address_link(link, other))
