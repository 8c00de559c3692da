"""Records of a name, and the answer to each call from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.ens.abi import WORD, address_word, dynamic_array, dynamic_bytes, pack, word
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.resolver.calls import (
    AbiCall,
    AddrCall,
    Call,
    CoinCall,
    ContenthashCall,
    DataCall,
    InterfaceCall,
    Multicall,
    NameCall,
    PubkeyCall,
    TextCall,
    UnsupportedCall,
)

ETHEREUM: Final = 60
"""Coin type of Ethereum (SLIP-44)."""
EVM_BIT: Final = 0x80000000
"""Coin type of an EVM chain is this bit and its chain id (ENSIP-11)."""
DEFAULT_EVM: Final = EVM_BIT
"""The address for every EVM chain that has none of its own (ENSIP-19)."""


@dataclass(frozen=True, slots=True)
class NameRecords:
    """What a name says. ``ttl``: seconds for which an answer from it may stand, None for the resolver's own."""

    address: bytes | None = None
    """20 bytes, the same as coin 60."""
    coins: Mapping[int, bytes] = field(default_factory=dict)
    """Raw address bytes of each coin type (ENSIP-9), a scriptPubKey for Bitcoin."""
    texts: Mapping[str, str] = field(default_factory=dict)
    contenthash: bytes | None = None
    ttl: int | None = None
    name: str | None = None
    """What a reverse node points to (EIP-181)."""
    pubkey: tuple[bytes, bytes] | None = None
    """Coordinates x and y, 32 bytes each (EIP-619)."""
    abis: Mapping[int, bytes] = field(default_factory=dict)
    """Encoded ABI by content type, a power of two (EIP-205)."""
    interfaces: Mapping[bytes, bytes] = field(default_factory=dict)
    """20-byte address by 4-byte interface id."""
    data: Mapping[str, bytes] = field(default_factory=dict)
    """ENSIP-24."""

    def coin(self, coin: int) -> bytes:
        """Address bytes of a coin type, empty when there are none.

        An EVM chain without an address of its own has that of the default coin type (ENSIP-19); Ethereum is one.
        """
        found = self.coins.get(coin)
        if found is None and coin == ETHEREUM:
            found = self.address
        if found is None and (coin == ETHEREUM or EVM_BIT <= coin < 2 * EVM_BIT):
            found = self.coins.get(DEFAULT_EVM)
        return found or b""

    def abi(self, wanted: int) -> tuple[int, bytes]:
        """The lowest content type among the bits of ``wanted`` that there is, and its bytes; 0 and none otherwise."""
        for kind in sorted(self.abis):
            if kind & wanted and self.abis[kind]:
                return kind, self.abis[kind]
        return 0, b""


EMPTY: Final = NameRecords()
"""Of a name under our parent that nobody has: it gets signed empty answers, since an error would read as outage."""


class RecordSource(Protocol):
    """One place where records can come from."""

    async def find(self, name: EnsName) -> NameRecords | None:
        """The records of ``name``, or None when this source does not know it."""
        ...


def answer_call(call: Call, node: bytes, records: NameRecords) -> bytes:
    """ABI-encoded return data of ``call``. Raises InvalidInput when it is about another node than that of the name.

    Empty records are answered as contracts answer them: "" for a text or a name, zeros for addr(bytes32), a public
    key or an interface, empty bytes for a coin, a content hash or data, (0, "") for an ABI. An unsupported call gets
    no data at all.
    """
    if isinstance(call, Multicall):
        return pack(dynamic_array([answer_call(inner, node, records) for inner in call.calls]))
    if isinstance(call, UnsupportedCall):
        return b""
    if call.node != node:
        raise InvalidInput("a call is about another node than the name's")
    match call:
        case AddrCall():
            address = records.coin(ETHEREUM)
            return address_word(address if len(address) == 20 else b"")
        case CoinCall(coin=coin):
            return pack(dynamic_bytes(records.coin(coin)))
        case TextCall(key=key):
            return pack(dynamic_bytes(records.texts.get(key, "").encode()))
        case ContenthashCall():
            return pack(dynamic_bytes(records.contenthash or b""))
        case NameCall():
            return pack(dynamic_bytes((records.name or "").encode()))
        case PubkeyCall():
            return b"".join(records.pubkey or (bytes(WORD), bytes(WORD)))
        case AbiCall(wanted=wanted):
            kind, encoded = records.abi(wanted)
            return pack(word(kind), dynamic_bytes(encoded))
        case InterfaceCall(interface=interface):
            return address_word(records.interfaces.get(interface, b""))
        case DataCall(key=key):
            return pack(dynamic_bytes(records.data.get(key, b"")))
