"""Encryption for one recipient (age, X25519): whoever makes a backup cannot read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from gateway.errors import ConfigError

MAGIC: Final = b"age-encryption.org/"
MARK: Final = "AGE-SECRET-KEY-1"


@dataclass(frozen=True, slots=True)
class Recipient:
    """``age1...``; made by ``recipient_of``."""

    text: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The secret key of a recipient; made by ``identity_in``."""

    text: str = field(repr=False)


def recipient_of(text: str) -> Recipient:
    """Raises ConfigError for what is no recipient."""
    import pyrage  # type: ignore[import-untyped]

    try:
        pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise ConfigError("the recipient of a backup must be an age1... address; `age-keygen` makes one") from None
    return Recipient(text.strip())


def identity_in(path: Path) -> Identity:
    """The secret key in a file of ``age-keygen``; raises ConfigError."""
    import pyrage

    try:
        lines = path.read_text(encoding="ascii").splitlines()
        found = next(line.strip() for line in lines if line.startswith(MARK))
        pyrage.x25519.Identity.from_str(found)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {type(error).__name__}") from None
    except (StopIteration, pyrage.IdentityError):
        raise ConfigError(f"{path}: holds no line {MARK}...") from None
    return Identity(found)


def seal(source: IO[bytes], target: IO[bytes], recipient: Recipient) -> None:
    """Encrypt all of ``source``."""
    import pyrage

    pyrage.encrypt_io(source, target, [pyrage.x25519.Recipient.from_str(recipient.text)])


def unseal(source: IO[bytes], target: IO[bytes], identity: Identity) -> None:
    """Decrypt all of ``source``; raises ConfigError for another's file, and for one that was changed or cut off."""
    import pyrage

    try:
        pyrage.decrypt_io(source, target, [pyrage.x25519.Identity.from_str(identity.text)])
    except (pyrage.DecryptError, OSError, ValueError):
        raise ConfigError("the backup is not for this key, or was changed, or is not whole") from None
