"""The signature that the resolver contract checks, and the key file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from eth_abi.abi import decode
from eth_abi.packed import encode_packed
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.eth import completed, keccak256, recover
from gateway.errors import BadSignature, ConfigError, InvalidInput
from gateway.ids import EthAddress
from gateway.resolver.command_signer import parse_signature
from gateway.resolver.key_file import KeyFile
from gateway.resolver.signer import KeySigner, answer_digest, create_signer, encode_response, load_signer

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = EthAddress("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
RESOLVER = EthAddress("0x" + "12" * 20)


def der(*numbers: int) -> bytes:
    """SEQUENCE of INTEGERs (X.690), as devices write a signature."""
    coded = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers]
    body = b"".join(b"\x02" + bytes([len(each)]) + each for each in coded)
    return b"\x30" + bytes([len(body)]) + body


@pytest.mark.weakness(20)
async def test_a_signature_is_by_the_signer() -> None:
    signer = KeySigner.of(KEY)
    assert signer.address == ADDRESS
    digest = answer_digest(RESOLVER, 1_800_000_000, b"request", b"result")
    signature = await signer.sign(digest)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert recover(digest, signature) == ADDRESS


def test_the_digest_is_that_of_the_reference_verifier() -> None:
    packed = encode_packed(
        ["bytes2", "address", "uint64", "bytes32", "bytes32"],
        [b"\x19\x00", RESOLVER, 1_800_000_000, keccak256(b"request"), keccak256(b"result")],
    )
    assert answer_digest(RESOLVER, 1_800_000_000, b"request", b"result") == keccak256(packed)


@pytest.mark.weakness(20)
def test_the_digest_hangs_on_everything() -> None:
    usual = (RESOLVER, 1_800_000_000, b"request", b"result")
    others = [
        (ADDRESS, *usual[1:]),
        (RESOLVER, 1_800_000_001, *usual[2:]),
        (*usual[:2], b"Request", b"result"),
        (*usual[:3], b"Result"),
        (*usual[:2], b"requestr", b"esult"),
    ]
    assert len({answer_digest(*usual), *(answer_digest(*other) for other in others)}) == 6


def test_the_response() -> None:
    assert decode(["bytes", "uint64", "bytes"], encode_response(b"result", 7, b"s" * 65)) == (b"result", 7, b"s" * 65)


def test_the_key_is_not_shown() -> None:
    signer = KeySigner.of(KEY)
    assert KEY.hex() not in repr(signer)
    assert repr(KEY) not in repr(signer)


def test_a_key_file_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "resolver.key"
    made = create_signer(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signer(path) == made
    with pytest.raises(ConfigError):
        create_signer(path)
    assert load_signer(path) == made


@pytest.mark.parametrize("content", [KEY.hex(), "0x" + KEY.hex(), KEY.hex().upper() + "\n"])
def test_spellings_of_a_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "resolver.key"
    path.touch(0o600)
    path.write_text(content)
    assert load_signer(path).address == ADDRESS


@pytest.mark.parametrize("content", ["", "00", "0" * 64, "f" * 64, "g" * 64, KEY.hex() + "00", "é" * 64])
def test_what_is_no_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "resolver.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_signer(path)
    assert len(content) < 64 or content not in str(caught.value)


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "resolver.key"
    path.touch(0o600)
    path.write_text(KEY.hex())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_signer(path)
    with pytest.raises(ConfigError):
        load_signer(tmp_path / "absent.key")


def test_a_key_out_of_range() -> None:
    with pytest.raises(InvalidInput):
        KeySigner.of(bytes(32))


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("form", ["raw", "raw with v", "DER"])
@pytest.mark.parametrize("as_hex", [False, True])
async def test_forms_of_a_device(high: bool, form: str, as_hex: bool) -> None:
    digest = keccak256(b"digest")
    signature = await KeySigner.of(KEY).sign(digest)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    s = ORDER - s if high else s
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    data = {"raw": raw, "raw with v": raw + b"\x1b", "DER": der(r, s)}[form]
    answer = b"0x" + data.hex().encode() + b"\n" if as_hex else data
    assert parse_signature(answer) == (r, s)
    assert completed(r, s, digest, ADDRESS) == signature


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"0x",
        b"x" * 63,
        der(1, 1)[:-1],
        der(1, 1) + b"\0",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x04\x02\x00\x02\x00",
        b"\x30\x06\x03\x01\x01\x02\x01\x01",
        b"\x30\x06\x02\x05\x01\x02\x01\x01",
    ],
)
def test_what_is_no_signature(answer: bytes) -> None:
    with pytest.raises(BadSignature):
        parse_signature(answer)


@given(st.binary(max_size=80))
def test_any_answer_is_read_or_refused(answer: bytes) -> None:
    with contextlib.suppress(BadSignature):
        completed(*parse_signature(answer), bytes(32), ADDRESS)


async def test_the_key_in_the_file_is_followed(tmp_path: Path) -> None:
    path, fresh = tmp_path / "resolver.key", tmp_path / "next"
    signer = KeyFile(path, create_signer(path))
    first = signer.address
    await signer.look()
    assert signer.address == first
    made = create_signer(fresh)
    fresh.replace(path)
    await signer.look()
    assert signer.address == made.address
    assert recover(bytes(32), await signer.sign(bytes(32))) == made.address


@pytest.mark.parametrize("fault", ["gone", "empty", "readable by others"])
async def test_a_file_that_holds_no_key_changes_nothing(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "resolver.key"
    signer = KeyFile(path, create_signer(path))
    first = signer.address
    path.unlink()
    if fault != "gone":
        path.touch(0o600)
    if fault == "readable by others":
        path.write_text(KEY.hex())
        path.chmod(0o644)
    await signer.look()
    assert signer.address == first
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(KEY.hex())
    await signer.look()
    assert signer.address == ADDRESS
