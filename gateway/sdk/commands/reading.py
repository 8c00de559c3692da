"""Reading what people typed: names, times, amounts; each error is a sentence for them."""

from __future__ import annotations

import re
from typing import Final

from gateway.dm3.eth import parse_address
from gateway.errors import InvalidInput, InvalidName
from gateway.ids import EnsName, EthAddress
from gateway.sdk.addresses import normalise
from gateway.sdk.commands.command import UsageError
from gateway.sdk.commands.writing import literal

_DURATION: Final = re.compile(r"([0-9]{1,4})(m|min|h|d|w)\Z", re.ASCII)
_UNIT_MS: Final = {"m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_COUNT: Final = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,77}\Z", re.ASCII)
_ETHER: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,18}))?\Z", re.ASCII)
"""Twelve digits are more than there is."""
WEI: Final = 10**18


def read_name(text: str) -> EnsName:
    """An ENS name in its normal form; a single label is none, because nobody can be written to there."""
    try:
        name = normalise(text)
    except InvalidName:
        raise UsageError(f"{literal(text)} is not an ENS name.") from None
    if "." not in name:
        raise UsageError(f"{literal(text)} is not a whole ENS name; one looks like `alice.eth`.")
    return name


def read_label(text: str) -> str:
    """One label of a name, in its normal form."""
    try:
        label = normalise(text)
    except InvalidName:
        raise UsageError(f"{literal(text)} cannot be part of an ENS name.") from None
    if "." in label:
        raise UsageError("Only the part before the first dot is yours to choose.")
    return label


def read_duration(text: str) -> int:
    """Milliseconds: ``30m``, ``1h``, ``2d``, ``1w``."""
    found = _DURATION.match(text.lower())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{literal(text)} is not a time like `30m`, `1h`, `2d` or `1w`.")
    return int(found[1]) * _UNIT_MS[found[2]]


def read_switch(text: str) -> bool:
    """``on`` or ``off``."""
    word = text.lower()
    if word not in ("on", "off"):
        raise UsageError(f"{literal(text)} is neither `on` nor `off`.")
    return word == "on"


def read_count(text: str) -> int:
    """A whole number, 0 for ``off``."""
    if text.lower() == "off":
        return 0
    if not _COUNT.match(text):
        raise UsageError(f"{literal(text)} is not a whole number.")
    return int(text)


def read_whole(text: str) -> int:
    """A whole number as large as a contract's."""
    if not _WHOLE.match(text):
        raise UsageError(f"{literal(text)} is not a whole number.")
    return int(text)


def read_ether(text: str) -> int:
    """Wei for an amount in ether, 0 for ``off``."""
    if text.lower() == "off":
        return 0
    found = _ETHER.match(text)
    if found is None:
        raise UsageError(f"{literal(text)} is not an amount of ether like `0.05`.")
    return int(found[1]) * WEI + int((found[2] or "").ljust(18, "0"))


def read_address(text: str) -> EthAddress:
    """An address of a contract."""
    try:
        return parse_address(text)
    except InvalidInput:
        raise UsageError(f"{literal(text)} is not an address: 0x and 40 hex digits.") from None
