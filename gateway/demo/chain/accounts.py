"""Funded accounts of the local chain, derived from their names.

Their keys are public knowledge by design, like those of every development chain: they must never hold value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gateway.dm3.eth import address_of, keccak256
from gateway.ids import EthAddress

ACCOUNT_NAMES: Final = ("root", "parent-owner", "native", "echo", "alice", "bob", "carol", "mallory")
"""``root`` owns the registry's root; ``parent-owner`` the gateway's parent name; the rest play people."""

ACCOUNT_BALANCE: Final = 10_000 * 10**18
"""Wei that each account has at genesis."""


@dataclass(frozen=True, slots=True)
class Account:
    """A name, an address, and the 32-byte private key of this address."""

    name: str
    address: EthAddress
    key: bytes = field(repr=False)


def account(name: str) -> Account:
    """The account called ``name``; the same on every machine."""
    key = keccak256(b"dm3-gateway local chain account: " + name.encode())
    return Account(name, address_of(key), key)


def accounts(names: Iterable[str] = ACCOUNT_NAMES) -> Mapping[str, Account]:
    """Accounts by name, read-only."""
    return MappingProxyType({name: account(name) for name in names})
