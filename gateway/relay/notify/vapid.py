"""The key by which push services know this server (VAPID, RFC 8292). Loads py_vapid when the key is first used."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gateway.errors import ConfigError, InvalidInput
from gateway.relay.notify.subscription import from_base64url, to_base64url

if TYPE_CHECKING:
    from py_vapid import Vapid02

KEY_BYTES: Final = 32
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Private keys are 1 to one less (SEC 2, secp256r1)."""


class VapidKey:
    """Signs for one push service at a time; the public half is what browsers subscribe with."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is the private scalar of P-256; raises InvalidInput when it is none."""
        if len(secret) != KEY_BYTES or not 0 < int.from_bytes(secret, "big") < P256_ORDER:
            raise InvalidInput("not a private key of P-256")
        self._secret = secret

    @cached_property
    def public(self) -> str:
        """Base64url of the uncompressed point: the browser's applicationServerKey."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return to_base64url(self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    @cached_property
    def _vapid(self) -> Vapid02:
        from py_vapid import Vapid02

        return Vapid02.from_raw(to_base64url(self._secret).encode())

    def authorization(self, origin: str, subject: str, expires_at: int) -> str:
        """The Authorization header for one push service (section 2); ``expires_at`` in seconds, within a day."""
        header: str = self._vapid.sign({"aud": origin, "exp": expires_at, "sub": subject})["Authorization"]
        return header


def load_vapid_key(path: Path) -> VapidKey:
    """Read the file: one line, the base64url of 32 bytes as web-push tools write it.

    Raises ConfigError when it is missing, open to others, or no such key; never repeats its content.
    """
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"{path}: the VAPID key cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        content = ""
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read the VAPID key (mode {mode:o}); chmod 600 {path}")
    try:
        return VapidKey(from_base64url(content, KEY_BYTES, "the VAPID key"))
    except InvalidInput:
        raise ConfigError(f"{path}: must hold one line, the base64url of a private key of P-256") from None


def default_subject(public_url: str) -> str:
    """Whom push services may ask about our pushes, when the operator named nobody."""
    parts = urlsplit(public_url)
    host = parts.hostname or "localhost"
    return f"https://{host}" if parts.scheme == "https" and ":" not in host else f"mailto:postmaster@{host}"
