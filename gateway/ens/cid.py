"""Content identifiers of IPFS, read strictly, and the check that content is what its identifier says.

Only what one block holds can be checked: raw leaves, and files of a single dag-pb node (UnixFS). A profile is far
below the 256 KiB at which files are split.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import BadProfile

RAW: Final = 0x55
DAG_PB: Final = 0x70
_SHA2_256: Final = b"\x12\x20"

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_V0: Final = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")
_V1: Final = re.compile(r"b[a-z2-7]{58}|z[1-9A-HJ-NP-Za-km-z]{48,49}|f[0-9a-f]{72}")

# Protobuf keys: field number and wire type.
_NODE_DATA: Final = 0x0A
_UNIXFS_TYPE: Final = 0x08
_UNIXFS_DATA: Final = 0x12
_UNIXFS_SIZE: Final = 0x18
_UNIXFS_RAW: Final = 0
_UNIXFS_FILE: Final = 2


@dataclass(frozen=True, slots=True)
class Cid:
    """An identifier: codec and SHA-256 of one block."""

    text: str
    codec: int
    digest: bytes


def parse_ipfs_uri(uri: str) -> Cid:
    """Read ``ipfs://<cid>``; version 0, or version 1 in base32, base58 or base16. Raises BadProfile.

    Paths below an identifier are refused: they lead through blocks that we would have to believe.
    """
    if uri[:7].lower() != "ipfs://":
        raise BadProfile("not an ipfs URI")
    text = uri[7:]
    if _V0.fullmatch(text):
        data = _base58(text)
        if len(data) != 34 or data[:2] != _SHA2_256:
            raise BadProfile("not a CID of version 0")
        return Cid(text, DAG_PB, data[2:])
    if not _V1.fullmatch(text):
        raise BadProfile("not a CID that can be checked")
    data = _multibase(text)
    if len(data) != 36 or data[0] != 1 or data[1] not in (RAW, DAG_PB) or data[2:4] != _SHA2_256:
        raise BadProfile("not a CID of one raw or dag-pb block by SHA-256")
    return Cid(text, data[1], data[4:])


def verified_content(cid: Cid, body: bytes) -> bytes:
    """The content of a file, given its block or the content itself as gateways serve it.

    Raises BadProfile when ``body`` is neither.
    """
    if cid.codec == RAW:
        if _is(cid, body):
            return body
    elif _is(cid, body):
        return _file_of(body)
    elif any(_is(cid, block) for block in _blocks_of(body)):
        return body
    raise BadProfile("the content is not what its CID says")


def _is(cid: Cid, block: bytes) -> bool:
    return hashlib.sha256(block).digest() == cid.digest


def _blocks_of(content: bytes) -> tuple[bytes, bytes]:
    """The dag-pb nodes that writers make of a small file."""
    size = _varint(len(content))
    inner = _varint(len(content)) + content
    nodes = (
        bytes((_UNIXFS_TYPE, kind, _UNIXFS_DATA)) + inner + bytes((_UNIXFS_SIZE,)) + size
        for kind in (_UNIXFS_FILE, _UNIXFS_RAW)
    )
    first, second = (bytes((_NODE_DATA,)) + _varint(len(node)) + node for node in nodes)
    return first, second


def _file_of(block: bytes) -> bytes:
    """Content of a dag-pb node without links that holds a UnixFS file."""
    fields = _fields(block)
    if set(fields) != {_NODE_DATA}:
        raise BadProfile("the CID is of a folder or of a file in several blocks")
    unixfs = _fields(fields[_NODE_DATA])
    if unixfs.get(_UNIXFS_TYPE) not in (bytes((_UNIXFS_FILE,)), bytes((_UNIXFS_RAW,))):
        raise BadProfile("the CID is not of a file")
    if not set(unixfs) <= {_UNIXFS_TYPE, _UNIXFS_DATA, _UNIXFS_SIZE}:
        raise BadProfile("the CID is of a file in several blocks")
    return unixfs.get(_UNIXFS_DATA, b"")


def _fields(data: bytes) -> dict[int, bytes]:
    """Fields of a protobuf message, each at most once: bytes as they are, numbers of one byte as that byte."""
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        key = data[position]
        number, position = _read_varint(data, position + 1)
        if key in fields or key & 7 not in (0, 2):
            raise BadProfile("malformed block")
        if key & 7 == 2:
            fields[key] = data[position : position + number]
            if len(fields[key]) != number:
                raise BadProfile("malformed block")
            position += number
        else:
            fields[key] = bytes((number,)) if number < 256 else b""
    return fields


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise BadProfile("malformed block")


def _multibase(text: str) -> bytes:
    try:
        match text[0]:
            case "b":
                return base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
            case "f":
                return bytes.fromhex(text[1:])
            case _:
                return _base58(text[1:])
    except (binascii.Error, ValueError):
        raise BadProfile("not a CID") from None


def _base58(text: str) -> bytes:
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    leading = len(text) - len(text.lstrip("1"))
    return bytes(leading) + number.to_bytes((number.bit_length() + 7) // 8, "big")
