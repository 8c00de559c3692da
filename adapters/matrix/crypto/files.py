"""Files of encrypted rooms: AES-CTR, and a digest (Client-Server API, "Sending encrypted attachments")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nio.crypto.attachments import decrypt_attachment, encrypt_attachment
from nio.exceptions import EncryptionError

from adapters.matrix.errors import Unfit
from adapters.matrix.reading import part, text

BROKEN: Final = "The encrypted file cannot be read with the key that came with it."


def locked(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """What is uploaded, and an ``EncryptedFile`` without its ``url``. Takes time: not for the loop."""
    encrypted, keys = encrypt_attachment(data)
    return encrypted, keys


def unlocked(data: bytes, encryption: Mapping[str, Any]) -> bytes:
    """The file; Unfit when it is not the one that was sent. Takes time: not for the loop."""
    key, digest = text(part(encryption, "key"), "k"), text(part(encryption, "hashes"), "sha256")
    try:
        file: bytes = decrypt_attachment(data, key, digest, text(encryption, "iv"))
    except (EncryptionError, ValueError) as error:
        raise Unfit(BROKEN) from error
    return file
