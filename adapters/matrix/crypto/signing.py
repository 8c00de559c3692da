"""Cross-signing for users of ours: their devices are signed by themselves, which many clients ask for by now.

Client-Server API, "Cross-signing"; an application service needs no password for it (MSC4190). The private keys are
derived and kept nowhere, so that a device that follows a lost one belongs to the same identity.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.matrix.ids import Mxid

Json = dict[str, Any]
MASTER: Final = "master"
SELF: Final = "self_signing"
USER: Final = "user_signing"
"""Signs other people, which our users never do; some clients want it to be there."""


class Identity:
    """The signing keys of one user."""

    def __init__(self, user: Mxid, secret: bytes) -> None:
        self._user = user
        self._keys = {
            usage: Ed25519PrivateKey.from_private_bytes(
                hmac.digest(secret, f"cross-signing {usage} {user}".encode(), hashlib.sha256)
            )
            for usage in (MASTER, SELF, USER)
        }

    def keys(self) -> Json:
        """The body of ``keys/device_signing/upload``."""
        return {
            "master_key": self._described(MASTER),
            "self_signing_key": self._signed(self._described(SELF), MASTER),
            "user_signing_key": self._signed(self._described(USER), MASTER),
        }

    def signed_device(self, device: str, device_keys: Mapping[str, Any]) -> Json:
        """The body of ``keys/signatures/upload`` for one device; ``device_keys`` as they were uploaded."""
        return {self._user: {device: self._signed(device_keys, SELF)}}

    def _described(self, usage: str) -> Json:
        public = self._public(usage)
        return {"user_id": self._user, "usage": [usage], "keys": {f"ed25519:{public}": public}}

    def _signed(self, signed: Mapping[str, Any], usage: str) -> Json:
        """With a signature over its canonical JSON (Client-Server API, "Signing JSON")."""
        bare = {key: value for key, value in signed.items() if key not in ("signatures", "unsigned")}
        text = json.dumps(bare, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        signature = {f"ed25519:{self._public(usage)}": _unpadded(self._keys[usage].sign(text.encode()))}
        return {**bare, "signatures": {self._user: signature}}

    def _public(self, usage: str) -> str:
        return _unpadded(self._keys[usage].public_key().public_bytes_raw())


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
