"""Contract ABI by hand: the few shapes that names need, read within bounds.

A tenth of the time of a general codec, and every offset and length of a stranger's calldata is checked before
anything is allocated. Arguments are counted in words of 32 bytes from the start of ``data`` (the selector cut off).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidInput

WORD: Final = 32
SELECTOR: Final = 4


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An argument of dynamic type, already encoded: its word in the head is an offset to this."""

    encoded: bytes


def word(value: int) -> bytes:
    """An unsigned integer as one word."""
    return value.to_bytes(WORD, "big")


def address_word(address: bytes) -> bytes:
    """20 bytes, padded on the left."""
    return address.rjust(WORD, b"\0")


def dynamic_bytes(data: bytes) -> Dynamic:
    """``bytes`` or ``string``: length, then the data padded on the right."""
    return Dynamic(word(len(data)) + data + bytes(-len(data) % WORD))


def dynamic_array(items: Sequence[bytes]) -> Dynamic:
    """``bytes[]`` or ``string[]``."""
    return Dynamic(word(len(items)) + pack(*(dynamic_bytes(item) for item in items)))


def pack(*arguments: bytes | Dynamic) -> bytes:
    """Arguments of a call or a return: static ones as their words, dynamic ones behind the head."""
    size = sum(WORD if isinstance(argument, Dynamic) else len(argument) for argument in arguments)
    head, tail = bytearray(), bytearray()
    for argument in arguments:
        if isinstance(argument, Dynamic):
            head += word(size + len(tail))
            tail += argument.encoded
        else:
            head += argument
    return bytes(head + tail)


def read_word(data: bytes, index: int) -> bytes:
    """The word at ``index``. Raises InvalidInput when the data ends before."""
    found = data[index * WORD : (index + 1) * WORD]
    if len(found) != WORD:
        raise InvalidInput("ABI data ends too early")
    return found


def read_uint(data: bytes, index: int) -> int:
    """The word at ``index`` as unsigned integer of up to 256 bits."""
    return int.from_bytes(read_word(data, index), "big")


def read_address(data: bytes, index: int) -> bytes:
    """The 20 bytes of an address. Raises InvalidInput when there is anything in the 12 bytes before it."""
    found = read_word(data, index)
    if any(found[:12]):
        raise InvalidInput("ABI word is no address")
    return found[12:]


def read_bytes(data: bytes, index: int, *, max_bytes: int) -> bytes:
    """The ``bytes`` argument whose offset stands at ``index``. Raises InvalidInput when it overruns or is too long."""
    return _bytes_at(data, read_uint(data, index), max_bytes)


def read_string(data: bytes, index: int, *, max_bytes: int) -> str:
    """The ``string`` argument whose offset stands at ``index``. Raises InvalidInput for what is no UTF-8, too."""
    try:
        return read_bytes(data, index, max_bytes=max_bytes).decode()
    except UnicodeDecodeError:
        raise InvalidInput("ABI string is not UTF-8") from None


def read_bytes_array(data: bytes, index: int, *, max_items: int, max_bytes: int) -> tuple[bytes, ...]:
    """The ``bytes[]`` argument whose offset stands at ``index``; ``max_bytes`` bounds the sum of its items.

    Items may share bytes in calldata, so their sum is what costs memory. Raises InvalidInput past a bound.
    """
    start = read_uint(data, index)
    if start > len(data):
        raise InvalidInput("ABI offset points behind the data")
    count = read_uint(data[start : start + WORD], 0)
    if count > max_items:
        raise InvalidInput(f"ABI array of more than {max_items} items")
    items: list[bytes] = []
    elements = data[start + WORD :]
    left = max_bytes
    for position in range(count):
        items.append(_bytes_at(elements, read_uint(elements, position), left))
        left -= len(items[-1])
    return tuple(items)


def _bytes_at(data: bytes, offset: int, max_bytes: int) -> bytes:
    if offset > len(data) - WORD:
        raise InvalidInput("ABI offset points behind the data")
    size = int.from_bytes(data[offset : offset + WORD], "big")
    if size > max_bytes:
        raise InvalidInput(f"ABI value of more than {max_bytes} bytes")
    found = data[offset + WORD : offset + WORD + size]
    if len(found) != size:
        raise InvalidInput("ABI value overruns the data")
    return found
