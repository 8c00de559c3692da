"""IPFS identifiers and the check of content against them; known identifiers of known files."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.cid import DAG_PB, RAW, Cid, parse_ipfs_uri, verified_content
from gateway.errors import BadProfile

HELLO_V0 = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
"""What `ipfs add` gives for a file with "hello world" and a line feed."""
HELLO = b"hello world\n"
HELLO_BLOCK = bytes.fromhex("0a120802120c68656c6c6f20776f726c640a180c")


def base32(data: bytes) -> str:
    return "b" + base64.b32encode(data).decode().rstrip("=").lower()


def v1(codec: int, block: bytes) -> str:
    """Version 1, base32."""
    return base32(bytes((1, codec, 0x12, 0x20)) + hashlib.sha256(block).digest())


def cid(text: str) -> Cid:
    return parse_ipfs_uri("ipfs://" + text)


def test_a_known_file() -> None:
    assert cid(HELLO_V0).codec == DAG_PB
    assert cid(HELLO_V0).digest == hashlib.sha256(HELLO_BLOCK).digest()
    assert verified_content(cid(HELLO_V0), HELLO_BLOCK) == HELLO
    assert verified_content(cid(HELLO_V0), HELLO) == HELLO


def test_a_known_file_without_a_line_feed() -> None:
    known = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
    assert verified_content(cid(known), b"hello world") == b"hello world"


def test_one_identifier_in_every_spelling() -> None:
    digest = hashlib.sha256(HELLO_BLOCK).digest()
    as_base16 = "f01701220" + digest.hex()
    assert cid(v1(DAG_PB, HELLO_BLOCK)).digest == cid(HELLO_V0).digest == cid(as_base16).digest == digest
    assert parse_ipfs_uri("IPFS://" + HELLO_V0).digest == digest
    as_base58 = "zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7"
    assert cid(as_base58).codec == DAG_PB


def test_raw_leaves() -> None:
    assert verified_content(cid(v1(RAW, HELLO)), HELLO) == HELLO
    with pytest.raises(BadProfile):
        verified_content(cid(v1(RAW, HELLO)), HELLO_BLOCK)


@pytest.mark.attack(16)
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ipfs:",
        "ipfs://",
        "https://" + HELLO_V0,
        HELLO_V0,
        "ipfs://" + HELLO_V0 + "/profile.json",
        "ipfs://" + HELLO_V0 + "?format=car",
        "ipfs://../" + HELLO_V0,
        "ipfs://ipfs/" + HELLO_V0,
        "ipfs://" + HELLO_V0[:-1],
        "ipfs://" + HELLO_V0 + "5",
        "ipfs://" + HELLO_V0.replace("8", "0"),
        "ipfs://" + HELLO_V0.replace("8", "I"),
        "ipfs://Qm" + "z" * 44,
        "ipfs://" + v1(RAW, HELLO).upper(),
        "ipfs://" + v1(0x71, HELLO),  # dag-cbor
        "ipfs://" + base32(bytes((2, RAW, 0x12, 0x20)) + bytes(32)),
        "ipfs://" + base32(bytes((1, RAW, 0x13, 0x20)) + bytes(32)),
        "ipfs://" + base32(bytes((1, RAW, 0x00, 0x20)) + bytes(32)),  # content inside the identifier
        "ipfs://f" + "0" * 72,
        "ipfs://b" + "a" * 10_000,
        "ipfs://" + HELLO_V0 + "\n",
        "ipfs://" + HELLO_V0 + "%2f..",
    ],
)
def test_what_is_no_identifier(uri: str) -> None:
    with pytest.raises(BadProfile):
        parse_ipfs_uri(uri)


@pytest.mark.attack(16)
@given(st.binary(max_size=3000))
def test_any_file_in_one_block(content: bytes) -> None:
    def varint(number: int) -> bytes:
        return bytes((number,)) if number < 128 else bytes((number & 127 | 128, number >> 7))

    size = varint(len(content))
    unixfs = b"\x08\x02\x12" + size + content + b"\x18" + size
    block = b"\x0a" + varint(len(unixfs)) + unixfs
    for found in (block, content):
        assert verified_content(cid(v1(DAG_PB, block)), found) == content
    with pytest.raises(BadProfile):
        verified_content(cid(v1(DAG_PB, block)), content + b"x")


@pytest.mark.parametrize(
    "block",
    [
        b"",
        bytes.fromhex("0a020801"),  # an empty folder
        bytes.fromhex("12080a0012047465737418000a020801"),  # a folder with a link
        bytes.fromhex("0a0608021802200120"),
        bytes.fromhex("0a04080218"),
        bytes.fromhex("0aff"),
        bytes.fromhex("0affffffffffff"),
        bytes.fromhex("0a0208020a020802"),
        bytes.fromhex("0b00"),
        bytes.fromhex("0a040802200a"),  # sizes of further blocks
        bytes.fromhex("0a0508ac021800"),
    ],
)
def test_blocks_that_are_no_whole_file(block: bytes) -> None:
    with pytest.raises(BadProfile):
        verified_content(cid(v1(DAG_PB, block)), block)


@given(st.binary(max_size=80))
def test_any_block_is_a_file_or_refused(block: bytes) -> None:
    try:
        content = verified_content(cid(v1(DAG_PB, block)), block)
    except BadProfile:
        return
    assert len(content) <= len(block)


@given(st.text(max_size=70))
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    try:
        parse_ipfs_uri("ipfs://" + text)
    except BadProfile:
        return
    raise AssertionError("an identifier by chance")
