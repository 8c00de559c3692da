"""A user's DM3 profile: public keys and delivery services, signed by the owner of the name (DM3-MTP, profile).

Clients refuse a profile with fields that they do not know, so exactly the known ones are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.dm3.canonical import Json, JsonObject, parse_object, stringify
from gateway.dm3.encoding import from_base64, to_base64
from gateway.dm3.eth import address_of, checksum, sign_text, signed_by
from gateway.dm3.fields import MAX_NAME_BYTES, required_text
from gateway.errors import BadProfile, InvalidInput, ParseError, TooLarge
from gateway.ids import EthAddress

MAX_PROFILE_BYTES: Final = 64 * 2**10
MAX_DELIVERY_SERVICES: Final = 32
_PROFILE_FIELDS: Final = {"publicEncryptionKey", "publicSigningKey", "deliveryServices"}
_SIGNED_FIELDS: Final = {"profile", "signature"}


@dataclass(frozen=True, slots=True)
class UserProfile:
    """Raw 32-byte public keys, and delivery services in order of preference, as written: normalise before use."""

    public_encryption_key: bytes
    public_signing_key: bytes
    delivery_services: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Exactly the three fields that clients accept."""
        return {
            "publicEncryptionKey": to_base64(self.public_encryption_key),
            "publicSigningKey": to_base64(self.public_signing_key),
            "deliveryServices": list(self.delivery_services),
        }

    @classmethod
    def from_json(cls, value: Json) -> UserProfile:
        """Raises BadProfile for missing, malformed or additional fields."""
        fields = exact_fields(value, _PROFILE_FIELDS, "profile")
        try:
            return cls(
                public_encryption_key=from_base64(fields["publicEncryptionKey"], "publicEncryptionKey", length=32),
                public_signing_key=from_base64(fields["publicSigningKey"], "publicSigningKey", length=32),
                delivery_services=_parse_services(fields["deliveryServices"]),
            )
        except InvalidInput as error:
            raise BadProfile(error.detail) from None


@dataclass(frozen=True, slots=True)
class SignedProfile:
    """A profile and the wallet signature over it, 0x + 65 bytes."""

    profile: UserProfile
    signature: str = field(repr=False)

    def to_json(self) -> JsonObject:
        """Exactly the two fields that clients accept."""
        return {"profile": self.profile.to_json(), "signature": self.signature}

    def to_text(self) -> str:
        """Canonical JSON, the content of the ``network.dm3.profile`` record."""
        return stringify(self.to_json())


def sign_profile(profile: UserProfile, eth_key: bytes) -> SignedProfile:
    """Sign with the 32-byte secp256k1 key of the address that the name resolves to; raises InvalidInput."""
    return SignedProfile(profile, sign_text(eth_key, registration_text(profile, address_of(eth_key))))


def verify_profile(signed: SignedProfile, address: EthAddress) -> bool:
    """True when ``address`` signed this very profile."""
    return signed_by(registration_text(signed.profile, address), signed.signature, address)


def registration_text(profile: UserProfile, address: EthAddress) -> str:
    """What the owner's wallet signs (ERC-191); the bytes are fixed by the reference."""
    return (
        "dm3.chat wants you register your dm3 profile with your Ethereum account:\n"
        f"{checksum(address)}\n\n"
        "This is required only once!\n"
        "(There is no paid transaction initiated. The signature is used off-chain only.)\n\n"
        f"URI: https://dm3.chat\nVersion: 1\ndm3 Profile: {stringify(profile.to_json())}"
    )


def parse_signed_profile(profile: bytes | str | JsonObject, *, max_bytes: int = MAX_PROFILE_BYTES) -> SignedProfile:
    """Read JSON text, or an object that parse_json made; raises BadProfile. Does not check the signature."""
    value = profile_object(profile, max_bytes)
    fields = exact_fields(value, _SIGNED_FIELDS, "signed profile")
    try:
        signature = required_text(fields, "signature", max_length=132)
    except InvalidInput as error:
        raise BadProfile(error.detail) from None
    return SignedProfile(UserProfile.from_json(fields["profile"]), signature)


def profile_object(profile: bytes | str | JsonObject, max_bytes: int) -> JsonObject:
    """The JSON object of a profile record, bounded; raises BadProfile."""
    if isinstance(profile, dict):
        return profile
    try:
        return parse_object(profile, max_bytes=max_bytes, max_depth=8, max_items=256)
    except (ParseError, TooLarge) as error:
        raise BadProfile(f"profile: {error.detail}") from None


def exact_fields(value: Json, names: set[str], what: str) -> JsonObject:
    """The value as an object with these fields and no other; raises BadProfile."""
    if not isinstance(value, dict):
        raise BadProfile(f"the {what} is not an object")
    if value.keys() != names:
        raise BadProfile(f"the {what} must have the fields {', '.join(sorted(names))} and no other")
    return value


def _parse_services(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_DELIVERY_SERVICES:
        raise BadProfile(f"deliveryServices is not a list of at most {MAX_DELIVERY_SERVICES}")
    services = []
    for item in value:
        if not isinstance(item, str) or not 0 < len(item) <= MAX_NAME_BYTES:
            raise BadProfile("a delivery service is not a name")
        services.append(item)
    return tuple(services)
