"""Texts by which a profile claims, drops or is linked to a name (DM3 resolver service and linked profiles)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dm3.eth import checksum, sign_text, signed_by
from gateway.dm3.keys import KeyPair
from gateway.dm3.signing import sign, verify
from gateway.ids import EnsName, EthAddress


class LinkKind(StrEnum):
    """What the main id of a profile link is; the value is written into the text."""

    PROFILE = "ProfileLink"
    ADDRESS = "EthAddressLink"


_MAIN_ID_NAMES = {LinkKind.PROFILE: "main dm3 profile", LinkKind.ADDRESS: "Ethereum address"}


@dataclass(frozen=True, slots=True)
class ProfileLink:
    """Statement that a local profile belongs to a main one; times in seconds since the epoch."""

    kind: LinkKind
    main_id: str
    """ENS name of the main profile, or checksummed address."""
    linked_profile: EnsName
    scope_uri: str
    """The application that asks for the link."""
    issued_at: int
    nonce: int
    expires_at: int | None = None

    def to_text(self) -> str:
        """The exact text that is signed."""
        return (
            f"dm3 Profile Link:\n{self.scope_uri} wants you to link your local dm3 profile "
            f"with your {_MAIN_ID_NAMES[self.kind]}.\n\n"
            f"Main ID: {self.main_id}\n"
            f"Main ID Type: {self.kind.value}\n"
            f"Linked Profile Name: {self.linked_profile}\n"
            f"Nonce: {self.nonce}\n"
            f"Issued At: {self.issued_at}\n"
            f"Expiration Time: {'null' if self.expires_at is None else self.expires_at}"
        )


def sign_profile_link(link: ProfileLink, main_key: KeyPair) -> str:
    """By the main profile's signing key, base64."""
    return sign(main_key, link.to_text())


def verify_profile_link(link: ProfileLink, public_signing_key: bytes, signature: str) -> bool:
    """True when the main profile's key signed this link."""
    return link.kind is LinkKind.PROFILE and verify(public_signing_key, link.to_text(), signature)


def sign_address_link(link: ProfileLink, eth_key: bytes) -> str:
    """By the main address's wallet (ERC-191), 0x + 65 bytes."""
    return sign_text(eth_key, link.to_text())


def verify_address_link(link: ProfileLink, address: EthAddress, signature: str) -> bool:
    """True when ``address`` signed this link and is its main id."""
    if link.kind is not LinkKind.ADDRESS or link.main_id != checksum(address):
        return False
    return signed_by(link.to_text(), signature, address)


def claim_text(alias: str) -> str:
    """What a profile signs to claim an alias name."""
    return f"alias: {alias}"


def removal_text(alias: str) -> str:
    """What a profile signs to drop an alias name; without a nonce, so it can be replayed after a new claim."""
    return f"remove: {alias}"


def sign_claim(key: KeyPair, alias: str) -> str:
    """Base64 signature over claim_text."""
    return sign(key, claim_text(alias))


def verify_claim(public_signing_key: bytes, alias: str, signature: str) -> bool:
    """True when the key claims this alias."""
    return verify(public_signing_key, claim_text(alias), signature)


def sign_removal(key: KeyPair, alias: str) -> str:
    """Base64 signature over removal_text."""
    return sign(key, removal_text(alias))


def verify_removal(public_signing_key: bytes, alias: str, signature: str) -> bool:
    """True when the key drops this alias."""
    return verify(public_signing_key, removal_text(alias), signature)
