"""Encryption for one recipient (age, X25519): whoever makes a backup cannot read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, TypeVar

from gateway.errors import ConfigError

T = TypeVar("T")

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
    """Encrypt all of ``source``; raises what reading and writing do, ConfigError for what fails in between."""
    import pyrage

    ends = _End(source), _End(target)
    try:
        pyrage.encrypt_io(*ends, [pyrage.x25519.Recipient.from_str(recipient.text)])
    except pyrage.EncryptError as error:
        for end in ends:
            if end.failure is not None:
                raise end.failure from None
        raise ConfigError(f"the backup cannot be encrypted: {error}") from None


def unseal(source: IO[bytes], target: IO[bytes], identity: Identity) -> None:
    """Decrypt all of ``source``; raises ConfigError for another's file, and for one that was changed or cut off.

    What reading and writing raise passes: whoever reads ``target``, a pipe, may have had enough of it.
    """
    import pyrage

    try:
        pyrage.decrypt_io(source, target, [pyrage.x25519.Identity.from_str(identity.text)])
    except (pyrage.DecryptError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's; the library's own have no number
        raise ConfigError("the backup is not for this key, or was changed, or is not whole") from None


class _End:
    """A file that keeps what it raised: the library, when it encrypts, passes on the words alone."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """As the file."""
        return self._kept(lambda: self._file.read(size))

    def write(self, data: bytes) -> int:
        """As the file."""
        return self._kept(lambda: self._file.write(data))

    def flush(self) -> None:
        """As the file."""
        self._kept(self._file.flush)

    def _kept(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except BaseException as error:
            self.failure = error
            raise
