"""Records of a name as lines of text: what owners sign, programs send, and files hold.

A line is a key and a value; an empty value removes the record.

| key | value |
|---|---|
| ``addr`` | Ethereum address (coin type 60) |
| ``coin:<type>`` | address bytes of another chain as 0x hex (ENSIP-9, ENSIP-11) |
| ``text:<key>`` | any text (ENSIP-5) |
| ``contenthash`` | bytes as 0x hex (ENSIP-7) |
| ``pubkey`` | x and y of a secp256k1 key, 64 bytes as 0x hex (EIP-619) |
| ``abi:<content type>`` | a power of two; bytes as 0x hex (EIP-205) |
| ``interface:<id>`` | 4 bytes as 0x hex; the address of the implementer (EIP-1844) |
| ``data:<key>`` | bytes as 0x hex (ENSIP-24) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import address_bytes, address_from_bytes, checksum, parse_address
from gateway.errors import InvalidInput
from gateway.store.names import NameRow

MAX_RECORDS: Final = 128
"""Records of one name."""
MAX_BYTES: Final = 48 * 2**10
"""Of all keys and values of one name, as text."""
MAX_KEY: Final = 255
"""Bytes of the part of a key behind the colon."""
ETHEREUM: Final = 60
EVM_BIT: Final = 0x80000000
_MAX_ABI_TYPE: Final = 2**255
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")
_INTERFACE: Final = re.compile(r"0x[0-9a-f]{8}\Z")

K = TypeVar("K")
V = TypeVar("V")


def records_of(row: NameRow) -> dict[str, str]:
    """All records of a name as lines, in the order of the table above."""
    lines: dict[str, str] = {}
    if row.address is not None:
        lines["addr"] = checksum(address_from_bytes(row.address))
    lines |= {f"coin:{coin}": to_hex(row.coins[coin]) for coin in sorted(row.coins)}
    lines |= {f"text:{key}": row.texts[key] for key in sorted(row.texts)}
    if row.contenthash is not None:
        lines["contenthash"] = to_hex(row.contenthash)
    if row.pubkey is not None:
        lines["pubkey"] = to_hex(row.pubkey)
    lines |= {f"abi:{kind}": to_hex(row.abis[kind]) for kind in sorted(row.abis)}
    lines |= {
        f"interface:0x{identifier}": checksum(address_from_bytes(row.interfaces[identifier]))
        for identifier in sorted(row.interfaces)
    }
    lines |= {f"data:{key}": to_hex(row.data[key]) for key in sorted(row.data)}
    return lines


def with_records(row: NameRow, changes: Mapping[str, str]) -> NameRow:
    """The name with these lines over its records; raises InvalidInput that names the key."""
    for key, value in changes.items():
        try:
            row = _with_record(row, key, value)
        except InvalidInput as error:
            raise InvalidInput(f"record {key[:80]!r}: {error.detail}") from None
    lines = records_of(row)
    if len(lines) > MAX_RECORDS:
        raise InvalidInput(f"more than {MAX_RECORDS} records")
    if sum(len(key.encode()) + len(value.encode()) for key, value in lines.items()) > MAX_BYTES:
        raise InvalidInput(f"records of more than {MAX_BYTES} bytes")
    return row


def without_records(row: NameRow) -> NameRow:
    """The name with nothing to say."""
    return replace(
        row, address=None, coins={}, texts={}, contenthash=None, pubkey=None, abis={}, interfaces={}, data={}
    )


def _with_record(row: NameRow, key: str, value: str) -> NameRow:
    kind, _, rest = key.partition(":")
    if key == "addr":
        return replace(row, address=_optional(_address, value))
    if key == "contenthash":
        return replace(row, contenthash=_optional(_bytes, value))
    if key == "pubkey":
        return replace(row, pubkey=_optional(_point, value))
    if kind in _BY_KEY and rest:
        field, key_of, value_of = _BY_KEY[kind]
        changed: dict[str, Any] = {field: _put(getattr(row, field), key_of(rest), value, value_of(rest))}
        return replace(row, **changed)
    raise InvalidInput("no such kind of record; see the list of keys")


def _optional(read: Callable[[str], bytes], value: str) -> bytes | None:
    return read(value) if value else None


def _put(known: Mapping[K, V], key: K, value: str, read: Callable[[str], V]) -> dict[K, V]:
    others = {each: known[each] for each in known if each != key}
    return {**others, key: read(value)} if value else others


def _address(value: str) -> bytes:
    return address_bytes(parse_address(value))


def _bytes(value: str) -> bytes:
    if not _HEX.match(value):
        raise InvalidInput("must be 0x and an even number of hex digits")
    found = bytes.fromhex(value[2:])
    if not found:
        raise InvalidInput("must not be empty; leave the value empty to remove the record")
    return found


def _point(value: str) -> bytes:
    found = _bytes(value)
    if len(found) != 64:
        raise InvalidInput("must have 64 bytes, x and y")
    return found


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a lone surrogate") from None
    if "\0" in value:
        raise InvalidInput("a NUL")
    return value


def _coin(rest: str) -> int:
    coin = _number(rest)
    if coin == ETHEREUM:
        raise InvalidInput("coin type 60 is written addr")
    return coin


def _coin_address(rest: str) -> Callable[[str], bytes]:
    def read(value: str) -> bytes:
        found = _bytes(value)
        if EVM_BIT <= int(rest) < 2 * EVM_BIT and len(found) != 20:
            raise InvalidInput("an address of an EVM chain has 20 bytes")
        return found

    return read


def _abi_type(rest: str) -> int:
    kind = _number(rest)
    if kind.bit_count() != 1 or kind > _MAX_ABI_TYPE:
        raise InvalidInput("a content type is a power of two")
    return kind


def _number(rest: str) -> int:
    if not _NUMBER.match(rest) or int(rest) >= 2**256:
        raise InvalidInput("must be a whole number below 2^256")
    return int(rest)


def _interface(rest: str) -> str:
    if not _INTERFACE.match(rest):
        raise InvalidInput("an interface id is 0x and 8 lower-case hex digits")
    return rest[2:]


def _free_key(rest: str) -> str:
    if len(_text(rest).encode()) > MAX_KEY:
        raise InvalidInput(f"a key has at most {MAX_KEY} bytes")
    return rest


_BY_KEY: Final[Mapping[str, tuple[str, Callable[[str], Any], Callable[[str], Callable[[str], Any]]]]] = {
    "coin": ("coins", _coin, _coin_address),
    "text": ("texts", _free_key, lambda _: _text),
    "abi": ("abis", _abi_type, lambda _: _bytes),
    "interface": ("interfaces", _interface, lambda _: _address),
    "data": ("data", _free_key, lambda _: _bytes),
}
"""Field of the row, reader of the key's rest, and what makes the reader of the value."""
