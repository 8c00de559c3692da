"""A program as signer: OpenSSL over a key of its own, a PKCS #11 token, and programs that misbehave."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.dm3.eth import address_from_bytes, keccak256, recover
from gateway.errors import ConfigError, Unavailable
from gateway.ids import EnsName, EthAddress
from gateway.resolver.command_signer import CommandSigner, parse_signature
from gateway.settings import load_settings
from tests.support.house import PARENT, running_house
from tests.support.require import require

DIGESTS = [keccak256(bytes([index])) for index in range(24)]
HALF = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2


PACK = "perl -ne 'chomp; print pack(q(H*), $_)'"
"""The digest as bytes."""


def openssl_vault(folder: Path) -> tuple[str, bytes]:
    """A key file that only OpenSSL reads."""
    key = folder / "key.pem"
    run("openssl", "ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", key)
    return f"{PACK} | openssl pkeyutl -sign -inkey {key}", run("openssl", "ec", "-in", key, *PUBLIC)


def pkcs11_vault(folder: Path) -> tuple[str, bytes]:
    """A token that does not give its key away: SoftHSM, by the tool that every PKCS #11 device works with."""
    require(shutil.which("pkcs11-tool") and shutil.which("softhsm2-util"), "no SoftHSM (apt install softhsm2 opensc)")
    module = next(Path("/usr/lib").rglob("libsofthsm2.so"), None)
    require(module, "libsofthsm2.so is not under /usr/lib")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    tool = ["env", f"SOFTHSM2_CONF={config}", "pkcs11-tool", "--module", str(module), "--pin", "1234"]
    run(*tool[:2], "softhsm2-util", "--init-token", "--free", "--label", "dm3", "--pin", "1234", "--so-pin", "5678")
    run(*tool, "--login", "--keypairgen", "--key-type", "EC:secp256k1", "--id", "01", "--label", "resolver")
    run(*tool, "--read-object", "--type", "pubkey", "--id", "01", "-o", folder / "public.der")
    shown = run("openssl", "ec", "-pubin", "-inform", "DER", "-in", folder / "public.der", *PUBLIC)
    return f"{PACK} | {' '.join(tool)} --login --sign --mechanism ECDSA --id 01 --input-file /dev/stdin", shown


PUBLIC = ("-pubout", "-conv_form", "uncompressed", "-outform", "DER")
VAULTS = {"openssl": openssl_vault, "pkcs11": pkcs11_vault}


def run(*command: str | Path) -> bytes:
    """What a command writes; CalledProcessError when it fails."""
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module", params=VAULTS)
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], EthAddress]:
    """A command that signs with a secp256k1 key which never enters this process, and the key's address."""
    require(shutil.which("openssl") and shutil.which("perl"), "openssl or perl is missing (apt install openssl perl)")
    script, public = VAULTS[request.param](tmp_path_factory.mktemp("vault"))
    return ["sh", "-c", script], address_from_bytes(keccak256(public[-64:])[-20:])


def answering(code: str) -> list[str]:
    """A program that writes what ``code`` makes of the digest ``d``."""
    return [sys.executable, "-c", f"import sys, time; d = sys.stdin.readline().strip(); o = sys.stdout.buffer; {code}"]


async def test_signatures_are_made_canonical(vault: tuple[list[str], EthAddress]) -> None:
    command, address = vault
    # SoftHSM refuses some who come together.
    signer = CommandSigner(command, address, timeout=60, at_once=1)
    for digest, signature in zip(DIGESTS[:8], await asyncio.gather(*map(signer.sign, DIGESTS[:8])), strict=True):
        assert len(signature) == 65
        assert signature[64] in (27, 28)
        assert int.from_bytes(signature[32:64], "big") <= HALF
        assert recover(digest, signature) == address


async def test_there_is_something_to_be_corrected(vault: tuple[list[str], EthAddress]) -> None:
    """Else the test above would show nothing: of 24 signatures some have an s in the upper half."""
    command, _ = vault

    async def raw(digest: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return (await process.communicate(digest.hex().encode() + b"\n"))[0]

    for digest in DIGESTS:
        if parse_signature(await raw(digest))[1] > HALF:
            return
    raise AssertionError("every s is in the lower half")


async def test_look_ups_through_the_contract(vault: tuple[list[str], EthAddress], tmp_path: Path) -> None:
    command, address = vault
    overrides = {
        "DM3_GATEWAY__ENS__SIGNER_COMMAND": json.dumps(command),
        "DM3_GATEWAY__ENS__SIGNER_ADDRESS": address,
        "DM3_GATEWAY__ENS__SIGNER_TIMEOUT_SECONDS": "30",
    }
    async with running_house(tmp_path, overrides=overrides, working=False) as house:
        (contract,) = map(EthAddress, house.settings.ens.resolver_addresses)
        name, key = EnsName(f"ds.{PARENT}"), "network.dm3.deliveryService"
        with pytest.raises(Unavailable):  # the contract refuses what a stranger signed
            await house.ens.text(name, key)
        await asyncio.to_thread(house.chain.ens.add_signer, contract, address)
        assert (await house.ens.text(name, key) or "").startswith("data:application/json")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(3)", "ended with 3"),
        ("o.write(b'no')", "no signature"),
        ("o.write(b'\\x30\\x06\\x02\\x01\\x05\\x02\\x01\\x05')", "is not by"),
        ("o.write(b'1' * 128)", "is not by"),
        ("o.write(b'0' * 130)", "between 0"),
        ("o.write(b'x' * 100000)", "more than a signature"),
        ("time.sleep(60)", "within 1 s"),
        ("o.close(); time.sleep(60)", "within 1 s"),
        ("import os; o.flush(); os.fork() or time.sleep(60)", "within 1 s"),
    ],
)
async def test_programs_that_misbehave(code: str, reason: str) -> None:
    timeout = 1 if "within" in reason else 20
    signer = CommandSigner(answering(code), EthAddress("0x" + "12" * 20), timeout=timeout)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=reason):
        await signer.sign(DIGESTS[0])
    assert time.monotonic() - began < 30


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="FileNotFoundError"):
        await CommandSigner(["/nowhere/sign"], EthAddress("0x" + "12" * 20)).sign(DIGESTS[0])


async def test_no_more_run_at_once_than_may(tmp_path: Path) -> None:
    running = tmp_path / "running"
    running.mkdir()
    code = (
        "import os, pathlib; r = pathlib.Path(sys.argv[1]); m = r / d; m.touch(); n = len(os.listdir(r)); "
        "time.sleep(0.2); m.unlink(); sys.exit(10 + n)"
    )
    signer = CommandSigner([*answering(code), str(running)], EthAddress("0x" + "12" * 20), timeout=60, at_once=2)
    found = await asyncio.gather(*map(signer.sign, DIGESTS[:6]), return_exceptions=True)
    assert {str(each) for each in found} <= {f"the signer command ended with {10 + count}" for count in (1, 2)}


@pytest.mark.parametrize("overrides", [{"SIGNER_COMMAND": '["sign"]'}, {"SIGNER_ADDRESS": "0x" + "12" * 20}])
async def test_command_and_address_go_together(tmp_path: Path, overrides: dict[str, str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[server]\npublic_url = "https://gw.example"\n[chain]\nrpc_urls = ["https://eth.example"]\n'
        '[ens]\nparent = "gw.eth"\n'
    )
    environ = {f"DM3_GATEWAY__ENS__{key}": value for key, value in overrides.items()}
    with pytest.raises(ConfigError, match="signer_address: goes together with signer_command"):
        load_settings(config, environ=environ)


def test_the_same_on_the_loop_of_a_serving_node(vault: tuple[list[str], EthAddress]) -> None:
    uvloop = pytest.importorskip("uvloop")
    command, address = vault
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        signature = runner.run(CommandSigner(command, address, timeout=30).sign(DIGESTS[0]))
        assert recover(DIGESTS[0], signature) == address
        for code, reason in (("time.sleep(60)", "within 1 s"), ("sys.exit(3)", "ended with 3")):
            signer = CommandSigner(answering(code), address, timeout=1 if "within" in reason else 20)
            with pytest.raises(Unavailable, match=reason):
                runner.run(signer.sign(DIGESTS[0]))
