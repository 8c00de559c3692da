"""Calldata as clients make it, by a general ABI codec."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode

from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName
from gateway.resolver import calls


def resolve(name: str, inner: bytes) -> bytes:
    """resolve(bytes,bytes) for a name."""
    return calls.RESOLVE + encode(["bytes", "bytes"], [dns_encode(EnsName(name)), inner])


def addr(name: str) -> bytes:
    """addr(bytes32)."""
    return calls.ADDR + namehash(EnsName(name))


def coin(name: str, number: int) -> bytes:
    """addr(bytes32,uint256)."""
    return calls.ADDR_COIN + encode(["bytes32", "uint256"], [namehash(EnsName(name)), number])


def text(name: str, key: str) -> bytes:
    """text(bytes32,string)."""
    return calls.TEXT + encode(["bytes32", "string"], [namehash(EnsName(name)), key])


def contenthash(name: str) -> bytes:
    """contenthash(bytes32)."""
    return calls.CONTENTHASH + namehash(EnsName(name))


def multicall(items: Sequence[bytes]) -> bytes:
    """multicall(bytes[])."""
    return calls.MULTICALL + encode(["bytes[]"], [list(items)])
