"""What a look-up asks for: a registry elsewhere is asked for these records, never for all that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.resolver.calls import AddrCall, Call, CoinCall, ContenthashCall, Multicall, TextCall, UnsupportedCall
from gateway.resolver.records import DEFAULT_EVM, ETHEREUM, EVM_BIT

_READ: Final = frozenset({AddrCall, CoinCall, TextCall, ContenthashCall})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Coin types, text keys, and whether the content hash."""

    coins: frozenset[int] = frozenset()
    texts: frozenset[str] = frozenset()
    contenthash: bool = False

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(self.coins | other.coins, self.texts | other.texts, self.contenthash or other.contenthash)


def wanted_of(call: Call) -> Wanted:
    """The records from which ``call`` is answered; an EVM chain's address may be that of all of them (ENSIP-19)."""
    match call:
        case AddrCall():
            return _coin(ETHEREUM)
        case CoinCall(coin=coin):
            return _coin(coin)
        case TextCall(key=key):
            return Wanted(texts=frozenset((key,)))
        case ContenthashCall():
            return Wanted(contenthash=True)
        case Multicall(calls=calls):
            together = Wanted()
            for each in calls:
                together |= wanted_of(each)
            return together
        case _:
            return Wanted()


def readable(call: Call) -> Call:
    """``call`` with the kinds of records that no registry is asked for as unsupported.

    An empty record would say that there is none, and that is not known.
    """
    if isinstance(call, Multicall):
        return Multicall(tuple(map(readable, call.calls)))
    return call if type(call) in _READ else UnsupportedCall(b"")


def _coin(coin: int) -> Wanted:
    evm = coin == ETHEREUM or EVM_BIT <= coin < 2 * EVM_BIT
    return Wanted(coins=frozenset((coin, DEFAULT_EVM) if evm else (coin,)))
