"""Sign-In with Ethereum (ERC-4361): the text that a wallet signs, made and read strictly.

What is read back must be exactly what the grammar allows, and every field that binds the signature to one site, chain,
account, moment and purpose is compared: a signature made elsewhere, earlier or for something else is worth nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.dm3.eth import checksum, parse_address, signed_by
from gateway.errors import InvalidInput, WalletRefused
from gateway.ids import EthAddress

MAX_TEXT: Final = 4_096
CLOCK_LEEWAY_MS: Final = 60_000
"""A wallet's clock may run ahead of ours by this."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
# Printable ASCII without a line break is all that a statement may hold; no part can match in two ways.
_MESSAGE: Final = re.compile(
    r"(?P<domain>[A-Za-z0-9.:\[\]-]{1,255}) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n\n"
    r"(?:(?P<statement>[\x20-\x7e]{1,1024})\n)?\n"
    r"URI: (?P<uri>[\x21-\x7e]{1,1024})\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>[1-9][0-9]{0,17})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,128})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expires_at>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiweMessage:
    """The fields of a message; times in milliseconds since the epoch. Request id and resources are not taken."""

    domain: str
    """Host, with the port when there is one: who asks."""
    address: EthAddress
    statement: str | None
    """What is agreed to."""
    uri: str
    chain_id: int
    nonce: str
    issued_at: int
    expires_at: int | None = None
    not_before: int | None = None

    def to_text(self) -> str:
        """The text that is signed (ERC-191 personal_sign)."""
        statement = "" if self.statement is None else f"{self.statement}\n"
        lines = [
            f"{self.domain} wants you to sign in with your Ethereum account:",
            checksum(self.address),
            "",
            f"{statement}",
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {_written(self.issued_at)}",
        ]
        if self.expires_at is not None:
            lines.append(f"Expiration Time: {_written(self.expires_at)}")
        if self.not_before is not None:
            lines.append(f"Not Before: {_written(self.not_before)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a signature must have been made for."""

    domain: str
    uri: str
    chain_id: int
    statement: str
    """The whole sentence, with everything in it that the signature decides about."""
    longest_ms: int
    """A signature is not taken later than this after it was issued, whatever it says itself."""


def parse_siwe(text: str) -> SiweMessage:
    """Read a message; raises InvalidInput for anything that the grammar does not allow."""
    if len(text) > MAX_TEXT:
        raise InvalidInput("a sign-in message is shorter than that")
    match = _MESSAGE.match(text)
    if match is None:
        raise InvalidInput("not a sign-in message (ERC-4361)")
    address = parse_address(match["address"])
    if match["address"] != checksum(address):
        raise InvalidInput("the address of a sign-in message is checksummed (ERC-55)")
    return SiweMessage(
        domain=match["domain"],
        address=address,
        statement=match["statement"],
        uri=match["uri"],
        chain_id=int(match["chain_id"]),
        nonce=match["nonce"],
        issued_at=_read(match["issued_at"]),
        expires_at=None if match["expires_at"] is None else _read(match["expires_at"]),
        not_before=None if match["not_before"] is None else _read(match["not_before"]),
    )


def check_purpose(text: str, purpose: Purpose, now: int) -> SiweMessage:
    """The message, when it is for this purpose and in force at `now` (ms); whether it is signed is another question.

    The nonce is for the caller to use up. Raises InvalidInput for a text that is no message, WalletRefused naming the
    field that is wrong.
    """
    message = parse_siwe(text)
    for field in ("domain", "uri", "chain_id", "statement"):
        if getattr(message, field) != getattr(purpose, field):
            raise WalletRefused(f"signed for another {field.replace('_', ' ')}")
    if message.issued_at > now + CLOCK_LEEWAY_MS or (message.not_before or 0) > now + CLOCK_LEEWAY_MS:
        raise WalletRefused("not in force yet")
    if message.issued_at + purpose.longest_ms <= now or (message.expires_at is not None and message.expires_at <= now):
        raise WalletRefused("expired")
    return message


def check_siwe(text: str, signature: str, purpose: Purpose, now: int) -> SiweMessage:
    """As `check_purpose`, when the key of its own address signed it; raises WalletRefused, too, when it did not."""
    message = check_purpose(text, purpose, now)
    if not signed_by(text, signature, message.address):
        raise WalletRefused("not signed by the address that it names")
    return message


def _written(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def _read(text: str) -> int:
    try:
        # In whole numbers: by way of a float some moments would be read a millisecond earlier.
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InvalidInput("a time in a sign-in message does not exist") from None
