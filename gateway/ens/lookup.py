"""Records of names: the registry's walk, on-chain resolvers and those that answer from outside (ENSIP-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cachetools import TTLCache

from gateway.dm3.eth import address_from_bytes
from gateway.ens.abi import WORD, dynamic_bytes, pack, read_address, read_bytes, read_string, read_uint, word
from gateway.ens.ccip import CcipReader
from gateway.ens.chain import CallReverted, Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.names import dns_encode, namehash, parents
from gateway.ens.together import all_of
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress

ETHEREUM: Final = 60
"""Coin type (SLIP-44)."""
MAX_TEXT: Final = 64 * 2**10
"""Bytes of a text record that are read."""
MAX_ADDRESS: Final = 256
"""Bytes of the address of any coin."""
MAX_RESULT: Final = 128 * 2**10

_REGISTRY_RESOLVER: Final = bytes.fromhex("0178b8bf")  # resolver(bytes32)
_SUPPORTS_INTERFACE: Final = bytes.fromhex("01ffc9a7")  # supportsInterface(bytes4), ERC-165
_RESOLVE: Final = bytes.fromhex("9061b923")  # resolve(bytes,bytes), ENSIP-10; also its interface id
_ADDR: Final = bytes.fromhex("3b3b57de")  # addr(bytes32)
_ADDR_COIN: Final = bytes.fromhex("f1cb7e06")  # addr(bytes32,uint256)
_TEXT: Final = bytes.fromhex("59d1d43c")  # text(bytes32,string)
_CONTENTHASH: Final = bytes.fromhex("bc1c58d1")  # contenthash(bytes32)

_ZERO: Final = EthAddress("0x" + "00" * 20)
_AT_ONCE: Final = 4
"""Ancestors that are asked for together: most names are found in one round."""
_KIND_TTL: Final = 300


@dataclass(frozen=True, slots=True)
class FoundResolver:
    """The resolver that speaks for a name."""

    address: EthAddress
    extended: bool
    """True when it is asked by ``resolve(bytes,bytes)`` (ENSIP-10)."""


class Ens:
    """Reads records through the registry at ``registry``; a name or record that does not exist reads as empty.

    All look-ups raise ChainUnavailable, FetchFailed (a gateway, try later), FetchRefused (a gateway that must not be
    asked), UnknownName (a gateway denies the name) and InvalidInput (the answer is malformed or past its bound).
    """

    def __init__(self, chain: Chain, registry: EthAddress, client: GuardedClient) -> None:
        self._chain = chain
        self._registry = EthAddress(registry.lower())
        self._reader = CcipReader(chain, client)
        self._extended: TTLCache[EthAddress, bool] = TTLCache(1024, _KIND_TTL)

    async def text(self, name: EnsName, key: str, *, at: FoundResolver | None = None) -> str:
        """A text record (ENSIP-5); "" when there is none. ``at``: the name's resolver when it is known already."""
        result = await self._read(name, _TEXT + pack(namehash(name), dynamic_bytes(key.encode())), at)
        return read_string(result, 0, max_bytes=MAX_TEXT) if result else ""

    async def addr(self, name: EnsName, coin: int = ETHEREUM, *, at: FoundResolver | None = None) -> bytes | None:
        """Address bytes of a coin type (ENSIP-9); None when there are none."""
        if coin == ETHEREUM:
            result = await self._read(name, _ADDR + namehash(name), at)
            found = read_address(result, 0) if result else b""
            return found if any(found) else None
        result = await self._read(name, _ADDR_COIN + namehash(name) + word(coin), at)
        return (read_bytes(result, 0, max_bytes=MAX_ADDRESS) or None) if result else None

    async def address(self, name: EnsName, *, at: FoundResolver | None = None) -> EthAddress | None:
        """The Ethereum address of a name, or None."""
        found = await self.addr(name, at=at)
        return None if found is None else address_from_bytes(found)

    async def contenthash(self, name: EnsName, *, at: FoundResolver | None = None) -> bytes:
        """Content hash (ENSIP-7); empty when there is none."""
        result = await self._read(name, _CONTENTHASH + namehash(name), at)
        return read_bytes(result, 0, max_bytes=MAX_ADDRESS) if result else b""

    async def resolver_of(self, name: EnsName) -> FoundResolver | None:
        """The resolver of the name itself or, if it takes part in ENSIP-10, of the nearest ancestor that has one."""
        family = parents(name)
        for start in range(0, len(family), _AT_ONCE):
            asked = family[start : start + _AT_ONCE]
            for holder, address in zip(asked, await all_of(*map(self._registered, asked)), strict=True):
                if address == _ZERO:
                    continue
                extended = await self._is_extended(address)
                return FoundResolver(address, extended) if extended or holder == name else None
        return None

    async def _registered(self, name: EnsName) -> EthAddress:
        try:
            answer = await self._chain.eth_call(self._registry, _REGISTRY_RESOLVER + namehash(name))
        except CallReverted:
            return _ZERO
        return address_from_bytes(read_address(answer, 0)) if answer else _ZERO

    async def _is_extended(self, address: EthAddress) -> bool:
        known = self._extended.get(address)
        if known is None:
            try:
                answer = await self._chain.eth_call(address, _SUPPORTS_INTERFACE + _RESOLVE.ljust(WORD, b"\0"))
            except CallReverted:
                answer = b""
            known = len(answer) == WORD and read_uint(answer, 0) == 1
            self._extended[address] = known
        return known

    async def _read(self, name: EnsName, call: bytes, at: FoundResolver | None) -> bytes:
        """Return data of a record call; empty when the name has no resolver or the resolver no such record."""
        resolver = at or await self.resolver_of(name)
        if resolver is None:
            return b""
        try:
            if not resolver.extended:
                return _bounded(await self._reader.call(resolver.address, call))
            outer = _RESOLVE + pack(dynamic_bytes(dns_encode(name)), dynamic_bytes(call))
            result = _bounded(await self._reader.call(resolver.address, outer))
        except CallReverted:
            # Resolvers refuse records and names that they do not know in words of their own.
            return b""
        return read_bytes(result, 0, max_bytes=MAX_RESULT) if result else b""


def _bounded(result: bytes) -> bytes:
    if len(result) > MAX_RESULT:
        raise InvalidInput(f"a record of more than {MAX_RESULT} bytes")
    return result
