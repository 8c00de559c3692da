"""Sizes of forwarding layers: a short list, the same for every place in a chain, so that a size tells little.

Sealing adds a third (base64) and a frame, so a layer is always larger than the one inside. If sizes followed from the
envelope alone, each relay could count the relays behind it. Every layer therefore has one of the classes below, each
made just large enough to hold a layer of the class before, and the envelope is filled up to a class. A layer of class
c may hold an envelope of any class up to c, behind up to c further relays.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from gateway.dm3.encryption import BLOCK_BYTES, MAX_SEALED_BYTES, EncryptedPayload
from gateway.errors import InvalidInput, TooLarge

HEAD_BYTES: Final = 512
"""Room for all fields of a layer but its payload, a name of 255 bytes among them."""
_FIRST_BLOCKS: Final = 4
"""Holds an envelope whose message is one block long, which is most of them."""
_TAG_BYTES: Final = 16
_FRAME: Final = len(EncryptedPayload(b"", bytes(12), bytes(32)).to_text())


def sealed_length(blocks: int) -> int:
    """Characters (all ASCII) of a sealed text whose plaintext has so many blocks of 2 KiB."""
    return _FRAME + (blocks * BLOCK_BYTES + _TAG_BYTES + 2) // 3 * 4


def _classes() -> tuple[int, ...]:
    classes = [_FIRST_BLOCKS]
    while sealed_length(classes[-1]) <= MAX_SEALED_BYTES:
        classes.append(-(-(sealed_length(classes[-1]) + HEAD_BYTES) // BLOCK_BYTES))
    return tuple(classes[:-1])


SIZE_CLASSES: Final = _classes()
"""Blocks of 2 KiB that the plaintext of a layer of each class has: 4, 6, 9, 13, 18, 25, ..."""


def plain_bytes(size_class: int) -> int:
    """Bytes of the plaintext of a layer: all of its blocks but the one byte that the encryption's padding needs."""
    return SIZE_CLASSES[size_class] * BLOCK_BYTES - 1


def class_for(content: int) -> int:
    """The smallest class whose plaintext has room for `content` bytes; raises TooLarge when none has."""
    found = bisect_left(SIZE_CLASSES, content, key=lambda blocks: blocks * BLOCK_BYTES - 1)
    if found == len(SIZE_CLASSES):
        raise TooLarge(f"{content} bytes fit into no layer")
    return found


def class_of(ciphertext: int) -> int:
    """The class of a layer whose ciphertext has so many bytes; raises InvalidInput when there is none."""
    blocks, rest = divmod(ciphertext - _TAG_BYTES, BLOCK_BYTES)
    found = bisect_left(SIZE_CLASSES, blocks)
    if rest or found == len(SIZE_CLASSES) or SIZE_CLASSES[found] != blocks:
        raise InvalidInput("a layer of a size that no layer has")
    return found
