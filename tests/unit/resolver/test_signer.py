"""The signature that the resolver contract checks, and the key file."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import decode
from eth_abi.packed import encode_packed

from gateway.dm3.eth import keccak256, recover
from gateway.errors import ConfigError, InvalidInput
from gateway.ids import EthAddress
from gateway.resolver.signer import KeySigner, answer_digest, create_signer, encode_response, load_signer

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = EthAddress("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
RESOLVER = EthAddress("0x" + "12" * 20)


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
