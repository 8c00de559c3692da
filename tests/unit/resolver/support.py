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


def name(of: str) -> bytes:
    """name(bytes32)."""
    return calls.NAME + namehash(EnsName(of))


def pubkey(name: str) -> bytes:
    """pubkey(bytes32)."""
    return calls.PUBKEY + namehash(EnsName(name))


def contract_abi(name: str, wanted: int) -> bytes:
    """ABI(bytes32,uint256)."""
    return calls.CONTRACT_ABI + encode(["bytes32", "uint256"], [namehash(EnsName(name)), wanted])


def interface(name: str, identifier: bytes) -> bytes:
    """interfaceImplementer(bytes32,bytes4)."""
    return calls.INTERFACE + encode(["bytes32", "bytes4"], [namehash(EnsName(name)), identifier])


def data(name: str, key: str) -> bytes:
    """data(bytes32,string)."""
    return calls.DATA + encode(["bytes32", "string"], [namehash(EnsName(name)), key])


def multicall(items: Sequence[bytes]) -> bytes:
    """multicall(bytes[])."""
    return calls.MULTICALL + encode(["bytes[]"], [list(items)])
