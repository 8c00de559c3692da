"""Records of a name, put into groups and words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ADDRESSES: Final = "Addresses"
ABOUT: Final = "About"
MESSAGES: Final = "Messages"
MORE: Final = "More"
_ORDER: Final = (ADDRESSES, MESSAGES, ABOUT, MORE)
_EVM: Final = 0x80000000
_COINS: Final = {
    0: "Bitcoin",
    2: "Litecoin",
    3: "Dogecoin",
    501: "Solana",
    _EVM: "Every EVM chain",
    _EVM | 10: "OP Mainnet",
    _EVM | 137: "Polygon",
    _EVM | 8453: "Base",
    _EVM | 42161: "Arbitrum One",
    _EVM | 59144: "Linea",
    _EVM | 534352: "Scroll",
}
_TEXTS: Final = {
    "alias": (ABOUT, "Display name"),
    "avatar": (ABOUT, "Picture"),
    "description": (ABOUT, "Description"),
    "email": (ABOUT, "E-mail"),
    "keywords": (ABOUT, "Keywords"),
    "location": (ABOUT, "Place"),
    "name": (ABOUT, "Display name"),
    "url": (ABOUT, "Web page"),
    "network.dm3.profile": (MESSAGES, "DM3 profile"),
    "network.dm3.deliveryService": (MESSAGES, "DM3 delivery service"),
}
_LONG: Final = 160
"""Characters of a value that is shown at once."""


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One record: what it is, its key as owners sign it, its value."""

    title: str
    key: str
    value: str

    @property
    def link(self) -> str | None:
        """Where the value leads when it is a web address."""
        shown = self.value.lower()
        return self.value if shown.startswith(("https://", "http://")) and self.key.startswith("text:") else None

    @property
    def long(self) -> bool:
        """Whether the value is folded away."""
        return len(self.value) > _LONG


@dataclass(frozen=True, slots=True)
class RecordGroup:
    """Records that belong together."""

    title: str
    lines: tuple[RecordLine, ...]


def record_groups(records: Mapping[str, str]) -> tuple[RecordGroup, ...]:
    """Lines by group; groups without lines are left out."""
    found: dict[str, list[RecordLine]] = {title: [] for title in _ORDER}
    for key, value in records.items():
        group, title = _place(key)
        found[group].append(RecordLine(title, key, value))
    return tuple(RecordGroup(title, tuple(lines)) for title, lines in found.items() if lines)


def _place(key: str) -> tuple[str, str]:
    kind, _, rest = key.partition(":")
    match kind:
        case "addr":
            return ADDRESSES, "Ethereum"
        case "coin":
            return ADDRESSES, _coin(int(rest))
        case "text":
            return _TEXTS.get(rest, (ABOUT, rest))
        case "contenthash":
            return ABOUT, "Content"
        case "pubkey":
            return MORE, "Public key"
        case "abi":
            return MORE, f"ABI of type {rest}"
        case "interface":
            return MORE, f"Interface {rest}"
    return MORE, f"Data {rest}"


def _coin(coin: int) -> str:
    known = _COINS.get(coin)
    if known is not None:
        return known
    return f"EVM chain {coin & ~_EVM}" if _EVM < coin < 2 * _EVM else f"Coin type {coin}"
