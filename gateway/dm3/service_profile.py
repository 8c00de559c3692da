"""A delivery service's profile: its public keys and where to reach it (DM3-MTP, delivery service profile)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dm3.canonical import JsonObject, stringify
from gateway.dm3.encoding import from_base64, to_base64
from gateway.dm3.fields import required_text
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.user_profile import MAX_PROFILE_BYTES, exact_fields, profile_object
from gateway.errors import BadProfile, InvalidInput

_FIELDS: Final = {"publicSigningKey", "publicEncryptionKey", "url"}
_MAX_URL: Final = 2_048


@dataclass(frozen=True, slots=True)
class DeliveryServiceProfile:
    """Raw 32-byte public keys and the base URL, whose safety is for the client that fetches it to judge."""

    public_signing_key: bytes
    public_encryption_key: bytes
    url: str

    @classmethod
    def of(cls, keys: ServiceKeys, url: str) -> DeliveryServiceProfile:
        """The profile that goes with a service's own keys."""
        return cls(keys.signing.public, keys.encryption.public, url)

    def to_json(self) -> JsonObject:
        """Exactly the three fields that clients accept."""
        return {
            "publicSigningKey": to_base64(self.public_signing_key),
            "publicEncryptionKey": to_base64(self.public_encryption_key),
            "url": self.url,
        }

    def to_text(self) -> str:
        """Canonical JSON, the content of the ``network.dm3.deliveryService`` record."""
        return stringify(self.to_json())


def parse_service_profile(
    profile: bytes | str | JsonObject, *, max_bytes: int = MAX_PROFILE_BYTES
) -> DeliveryServiceProfile:
    """Read JSON text, or an object that parse_json made; raises BadProfile."""
    fields = exact_fields(profile_object(profile, max_bytes), _FIELDS, "delivery service profile")
    try:
        url = required_text(fields, "url", max_length=_MAX_URL)
        if not url.startswith(("https://", "http://")):
            raise BadProfile("the url of a delivery service is not http")
        return DeliveryServiceProfile(
            public_signing_key=from_base64(fields["publicSigningKey"], "publicSigningKey", length=32),
            public_encryption_key=from_base64(fields["publicEncryptionKey"], "publicEncryptionKey", length=32),
            url=url,
        )
    except BadProfile:
        raise
    except InvalidInput as error:
        raise BadProfile(error.detail) from None
