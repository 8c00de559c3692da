"""Who may log in for submission: a file of lines ``login:hash:address,address``.

Run as ``python -m adapters.email.users LOGIN ADDRESS...`` it asks for a password and prints such a line.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.sdk import CanonicalId, ConfigError, InvalidInput
from gateway.sdk.addresses import canonical_email

_COST, _BLOCKS, _LANES = 2**14, 8, 1
_MAX_COST: Final = 2**18
_SALT_BYTES: Final = 16
_MEMORY: Final = 300 * 2**20
MAX_PASSWORD: Final = 1024


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """A password hash (RFC 7914), written ``scrypt$n$r$p$salt$hash`` with base64."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """True for the right password. Takes tens of milliseconds: call it in a thread."""
        if len(password) > MAX_PASSWORD:
            return False
        return hmac.compare_digest(_scrypt(password, self.n, self.r, self.p, self.salt, len(self.digest)), self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(each).decode() for each in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in, and the addresses that are theirs."""

    login: str
    password: ScryptHash
    addresses: frozenset[CanonicalId]


_NOBODY: Final = ScryptHash(_COST, _BLOCKS, _LANES, bytes(_SALT_BYTES), bytes(32))
"""Checked for unknown log-ins, so that time does not tell which ones exist."""


def hash_password(password: str) -> ScryptHash:
    """A new hash with a salt of its own."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return ScryptHash(_COST, _BLOCKS, _LANES, salt, _scrypt(password, _COST, _BLOCKS, _LANES, salt, 32))


def _scrypt(password: str, n: int, r: int, p: int, salt: bytes, size: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=size)


def parse_hash(text: str) -> ScryptHash:
    """Read a hash as it is written; raises ConfigError."""
    try:
        scheme, n, r, p, salt, digest = text.split("$")
        parsed = ScryptHash(
            int(n), int(r), int(p), base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
        )
    except (ValueError, binascii.Error) as error:
        raise ConfigError("a password hash is written scrypt$n$r$p$salt$hash") from error
    sane = (
        scheme == "scrypt"
        and 2**10 <= parsed.n <= _MAX_COST
        and parsed.n.bit_count() == 1
        and 1 <= parsed.r <= 8
        and 1 <= parsed.p <= 4
        and len(parsed.salt) >= 8
        and 16 <= len(parsed.digest) <= 64
    )
    if not sane:
        raise ConfigError("a password hash has parameters outside of what we take")
    return parsed


def parse_users(text: str) -> Mapping[str, User]:
    """Users by log-in name; blank lines and lines that begin with # are skipped. Raises ConfigError with the line."""
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _parse_user(line)
        except (ConfigError, InvalidInput) as error:
            raise ConfigError(f"line {number}: {error.detail}") from error
        if user.login in users:
            raise ConfigError(f"line {number}: this log-in was there before")
        users[user.login] = user
    return users


def _parse_user(line: str) -> User:
    parts = line.split(":")
    if len(parts) != 3 or not parts[0] or not parts[2].strip():
        raise ConfigError("must be login:hash:address,address")
    addresses = frozenset(canonical_email(each.strip()) for each in parts[2].split(","))
    return User(parts[0], parse_hash(parts[1]), addresses)


def load_users(path: Path) -> Mapping[str, User]:
    """Read the file; raises ConfigError. Does I/O."""
    try:
        return parse_users(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.detail}") from error


def check_password(users: Mapping[str, User], login: str, password: str) -> bool:
    """True for a known log-in and its password; takes as long when the log-in is unknown."""
    user = users.get(login)
    return (user.password if user else _NOBODY).matches(password) and user is not None


def main(arguments: list[str]) -> int:
    """Print the line for one user."""
    if len(arguments) < 2:
        print("usage: python -m adapters.email.users LOGIN ADDRESS...", file=sys.stderr)
        return 2
    login, *addresses = arguments
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    line = f"{login}:{hash_password(password)}:{','.join(addresses)}"
    _parse_user(line)
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
