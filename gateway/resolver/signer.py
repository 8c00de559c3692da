"""Who signs the resolver's answers, and over what (the reference verifier of ERC-3668)."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from gateway.dm3.eth import address_bytes, address_of, digest_signer, keccak256
from gateway.ens.abi import dynamic_bytes, pack, word
from gateway.errors import ConfigError, InvalidInput
from gateway.ids import EthAddress

_KEY: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})\s*")


class Signer(Protocol):
    """Holds the key that the resolver contract knows, or reaches the device that does.

    It signs answers of the resolver (ERC-191 version 0) and files of a whole zone (version 0x45, a text that says so),
    which cannot be taken for one another. No other part of the program may hand it a digest.
    """

    @property
    def address(self) -> EthAddress:
        """The signer as the contract lists it."""
        ...

    async def sign(self, digest: bytes) -> bytes:
        """65 bytes r || s || v over a 32-byte digest, low s, v 27 or 28. Raises Unavailable when it cannot now."""
        ...


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a key in memory."""

    address: EthAddress
    key: bytes = field(repr=False)
    _sign: Callable[[bytes], bytes] = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: bytes) -> KeySigner:
        """A signer with a 32-byte secp256k1 key. Raises InvalidInput when it is none."""
        return cls(address_of(key), key, digest_signer(key))

    async def sign(self, digest: bytes) -> bytes:
        """See Signer."""
        return self._sign(digest)


def load_signer(path: Path) -> KeySigner:
    """Read a key file: 64 hex digits, readable by its owner only. Raises ConfigError."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"resolver key {path}: {type(error).__name__}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"resolver key {path} can be read by others; run: chmod 600 {path}")
    match = _KEY.fullmatch(text)
    if match is None:
        raise ConfigError(f"resolver key {path} does not hold 64 hex digits")
    try:
        return KeySigner.of(bytes.fromhex(match[1]))
    except InvalidInput:
        raise ConfigError(f"resolver key {path} is out of the range of secp256k1") from None


def create_signer(path: Path) -> KeySigner:
    """Make a key and write it to a new file with mode 0600. Raises ConfigError when the file exists."""
    # A random value is outside the range of secp256k1 once in 2**128.
    signer = KeySigner.of(secrets.token_bytes(32))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(signer.key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"resolver key {path}: {type(error).__name__}") from None
    return signer


def answer_digest(resolver: EthAddress, expires: int, request: bytes, result: bytes) -> bytes:
    """What is signed: keccak256(0x1900 || resolver || uint64 expires || keccak256(request) || keccak256(result)).

    0x1900 is version 0 of ERC-191, which no wallet signs by personal_sign or EIP-712. ``request`` is the whole
    calldata of resolve(bytes,bytes); ``expires`` counts seconds since 1970.
    """
    return digest_of(resolver, expires, keccak256(request), keccak256(result))


def digest_of(resolver: EthAddress, expires: int, request_hash: bytes, result_hash: bytes) -> bytes:
    """The same, for whoever has the hashes."""
    return keccak256(b"\x19\x00" + address_bytes(resolver) + expires.to_bytes(8, "big") + request_hash + result_hash)


def encode_response(result: bytes, expires: int, signature: bytes) -> bytes:
    """abi.encode(bytes result, uint64 expires, bytes signature): what the contract's callback reads."""
    return pack(dynamic_bytes(result), word(expires), dynamic_bytes(signature))
