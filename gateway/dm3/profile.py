"""All about profiles under one roof: users', delivery services', and how records carry them."""

from __future__ import annotations

from gateway.dm3.data_uri import data_uri, parse_data_uri
from gateway.dm3.dm3_hash import check_dm3_hash, dm3_hash
from gateway.dm3.service_profile import DeliveryServiceProfile, parse_service_profile
from gateway.dm3.user_profile import (
    MAX_PROFILE_BYTES,
    SignedProfile,
    UserProfile,
    parse_signed_profile,
    registration_text,
    sign_profile,
    verify_profile,
)

__all__ = [
    "MAX_PROFILE_BYTES",
    "DeliveryServiceProfile",
    "SignedProfile",
    "UserProfile",
    "check_dm3_hash",
    "data_uri",
    "dm3_hash",
    "parse_data_uri",
    "parse_service_profile",
    "parse_signed_profile",
    "registration_text",
    "sign_profile",
    "verify_profile",
]
