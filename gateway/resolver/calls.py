"""Calls of a resolver in calldata: ``resolve(bytes,bytes)`` (ENSIP-10) and the record calls inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.ens.abi import SELECTOR, read_bytes, read_bytes_array, read_string, read_uint, read_word
from gateway.ens.names import MAX_NAME_BYTES, dns_decode
from gateway.errors import InvalidInput
from gateway.ids import EnsName

RESOLVE: Final = bytes.fromhex("9061b923")
"""resolve(bytes name, bytes data), ENSIP-10."""
ADDR: Final = bytes.fromhex("3b3b57de")
"""addr(bytes32 node), EIP-137."""
ADDR_COIN: Final = bytes.fromhex("f1cb7e06")
"""addr(bytes32 node, uint256 coinType), ENSIP-9."""
TEXT: Final = bytes.fromhex("59d1d43c")
"""text(bytes32 node, string key), ENSIP-5."""
CONTENTHASH: Final = bytes.fromhex("bc1c58d1")
"""contenthash(bytes32 node), ENSIP-7."""
NAME: Final = bytes.fromhex("691f3431")
"""name(bytes32 node), EIP-181."""
PUBKEY: Final = bytes.fromhex("c8690233")
"""pubkey(bytes32 node), EIP-619."""
CONTRACT_ABI: Final = bytes.fromhex("2203ab56")
"""ABI(bytes32 node, uint256 contentTypes), EIP-205."""
INTERFACE: Final = bytes.fromhex("124a319c")
"""interfaceImplementer(bytes32 node, bytes4 interfaceId), EIP-1844."""
DATA: Final = bytes.fromhex("ecbfada3")
"""data(bytes32 node, string key), ENSIP-24."""
MULTICALL: Final = bytes.fromhex("ac9650d8")
"""multicall(bytes[] calls)."""

MAX_CALLDATA: Final = 32 * 2**10
MAX_CALLS: Final = 64
"""Calls of one request, those inside nested multicalls counted together."""
MAX_NESTING: Final = 2
MAX_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class AddrCall:
    """Ethereum address as a left-padded word; zeros when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class CoinCall:
    """Address of any chain as bytes; empty when there is none."""

    node: bytes
    coin: int


@dataclass(frozen=True, slots=True)
class TextCall:
    """Text record; empty when there is none."""

    node: bytes
    key: str


@dataclass(frozen=True, slots=True)
class ContenthashCall:
    """Content hash as bytes; empty when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class NameCall:
    """Name of a reverse record; empty when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class PubkeyCall:
    """Coordinates of a curve point as two words; zeros when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class AbiCall:
    """A contract's ABI in the first of the wanted encodings that exists; 0 and no bytes when none does."""

    node: bytes
    wanted: int
    """Content types, a bit for each."""


@dataclass(frozen=True, slots=True)
class InterfaceCall:
    """Address of the contract that implements an interface; zeros when there is none."""

    node: bytes
    interface: bytes
    """4 bytes."""


@dataclass(frozen=True, slots=True)
class DataCall:
    """Bytes under a key; empty when there are none."""

    node: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Multicall:
    """Several calls answered together, under one signature (ENSIP-22)."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class UnsupportedCall:
    """A profile that we do not serve; the answer is empty, which clients read as such."""

    selector: bytes


Call: TypeAlias = (
    AddrCall
    | CoinCall
    | TextCall
    | ContenthashCall
    | NameCall
    | PubkeyCall
    | AbiCall
    | InterfaceCall
    | DataCall
    | Multicall
    | UnsupportedCall
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: a name in normal form and the call about it."""

    name: EnsName
    call: Call


def parse_request(calldata: bytes) -> Request:
    """Read the calldata of ``resolve(bytes,bytes)``, selector included.

    Raises InvalidInput (InvalidName for the name) when it is another function, malformed, or passes a bound:
    32 KiB, 64 calls, multicalls two deep, keys of 1024 bytes.
    """
    if len(calldata) > MAX_CALLDATA:
        raise InvalidInput(f"calldata of more than {MAX_CALLDATA} bytes")
    if calldata[:SELECTOR] != RESOLVE:
        raise InvalidInput("calldata is not of resolve(bytes,bytes)")
    arguments = calldata[SELECTOR:]
    name = dns_decode(read_bytes(arguments, 0, max_bytes=MAX_NAME_BYTES + 2))
    return Request(name, _Budget(MAX_CALLS).read(read_bytes(arguments, 1, max_bytes=MAX_CALLDATA), depth=0))


class _Budget:
    """Reads calls while the number of them lasts: shared offsets can fold many calls into little calldata."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def read(self, data: bytes, depth: int) -> Call:
        if self._left == 0:
            raise InvalidInput(f"more than {MAX_CALLS} calls in one request")
        self._left -= 1
        selector, arguments = data[:SELECTOR], data[SELECTOR:]
        if len(selector) != SELECTOR:
            raise InvalidInput("call without a selector")
        if selector == MULTICALL:
            return self._read_multicall(arguments, depth)
        read = _READERS.get(selector)
        return UnsupportedCall(selector) if read is None else read(arguments)

    def _read_multicall(self, arguments: bytes, depth: int) -> Multicall:
        if depth == MAX_NESTING:
            raise InvalidInput(f"multicalls nested deeper than {MAX_NESTING}")
        items = read_bytes_array(arguments, 0, max_items=MAX_CALLS, max_bytes=MAX_CALLDATA)
        return Multicall(tuple(self.read(item, depth + 1) for item in items))


def _node(arguments: bytes) -> bytes:
    return read_word(arguments, 0)


def _key(arguments: bytes) -> str:
    return read_string(arguments, 1, max_bytes=MAX_KEY_BYTES)


def _interface(arguments: bytes) -> bytes:
    found = read_word(arguments, 1)
    if any(found[SELECTOR:]):
        raise InvalidInput("ABI word is no interface id")
    return found[:SELECTOR]


_READERS: Final[Mapping[bytes, Callable[[bytes], Call]]] = {
    ADDR: lambda data: AddrCall(_node(data)),
    ADDR_COIN: lambda data: CoinCall(_node(data), read_uint(data, 1)),
    TEXT: lambda data: TextCall(_node(data), _key(data)),
    CONTENTHASH: lambda data: ContenthashCall(_node(data)),
    NAME: lambda data: NameCall(_node(data)),
    PUBKEY: lambda data: PubkeyCall(_node(data)),
    CONTRACT_ABI: lambda data: AbiCall(_node(data), read_uint(data, 1)),
    INTERFACE: lambda data: InterfaceCall(_node(data), _interface(data)),
    DATA: lambda data: DataCall(_node(data), _key(data)),
}
