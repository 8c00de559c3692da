"""Compiled contracts: artefacts are those of the sources, and calls are encoded by their ABI."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from gateway.demo.chain.artefacts import load_artefact
from gateway.errors import NotFound
from tests.support.require import require

CONTRACTS = Path(__file__).resolve().parents[3] / "deploy" / "contracts"
NAMES = ("ENSRegistry", "OffchainResolver", "PublicResolver", "UniversalResolver")
EIP_170_LIMIT = 24_576


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """deploy/contracts/build.py, which lies outside every package."""
    spec = importlib.util.spec_from_file_location("contracts_build", CONTRACTS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_source_has_an_artefact_and_the_other_way_round(build: ModuleType) -> None:
    sources = {source.stem for source in build.sources()}
    assert sources == set(NAMES)
    assert {path.stem for path in build.ARTEFACTS.glob("*.json")} == sources


@pytest.mark.parametrize("name", NAMES)
def test_artefact_is_what_the_source_compiles_to(build: ModuleType, name: str) -> None:
    require(importlib.util.find_spec("vyper"), "vyper is not installed (pip install vyper==0.4.3)")
    source = CONTRACTS / f"{name}.vy"
    assert build.artefact_path(source).read_text() == build.render(build.compile_source(source))


@pytest.mark.parametrize("name", NAMES)
def test_contract_fits_on_a_real_chain(name: str) -> None:
    assert 0 < len(load_artefact(name).runtime_bytecode) < EIP_170_LIMIT


def test_compiler_is_the_pinned_one() -> None:
    versions = {json.loads((CONTRACTS / "artefacts" / f"{name}.json").read_text())["compiler"] for name in NAMES}
    assert versions == {"vyper 0.4.3"}


def test_unknown_artefact_is_named_in_the_error() -> None:
    with pytest.raises(NotFound, match=r"Nonesuch\.json"):
        load_artefact("Nonesuch")


def test_unknown_function_is_named_in_the_error() -> None:
    with pytest.raises(NotFound, match=r"ENSRegistry has no function burn\(\)"):
        load_artefact("ENSRegistry").call("burn()")


@pytest.mark.parametrize(
    ("contract", "signature", "selector"),
    [
        ("ENSRegistry", "owner(bytes32)", "02571be3"),
        ("ENSRegistry", "resolver(bytes32)", "0178b8bf"),
        ("PublicResolver", "addr(bytes32)", "3b3b57de"),
        ("PublicResolver", "addr(bytes32,uint256)", "f1cb7e06"),
        ("PublicResolver", "text(bytes32,string)", "59d1d43c"),
        ("PublicResolver", "contenthash(bytes32)", "bc1c58d1"),
        ("PublicResolver", "name(bytes32)", "691f3431"),
        ("PublicResolver", "multicall(bytes[])", "ac9650d8"),
        ("OffchainResolver", "resolve(bytes,bytes)", "9061b923"),
        ("OffchainResolver", "resolveWithProof(bytes,bytes)", "f4d4d2f8"),
        ("OffchainResolver", "supportsInterface(bytes4)", "01ffc9a7"),
        ("OffchainResolver", "supportsFeature(bytes4)", "582de3e7"),
        ("UniversalResolver", "resolve(bytes,bytes)", "9061b923"),
        ("UniversalResolver", "findResolver(bytes)", "a1cbcbaf"),
    ],
)
def test_selectors_are_those_of_the_standards(contract: str, signature: str, selector: str) -> None:
    assert load_artefact(contract).functions[signature].selector.hex() == selector


def test_a_struct_is_written_out_in_the_output_types() -> None:
    outputs = load_artefact("UniversalResolver").functions["requireResolver(bytes)"].outputs
    assert outputs == ("(bytes,uint256,bytes32,address,bool)",)


def test_call_is_selector_and_abi_encoding() -> None:
    call = load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", b"\1" * 32, 5)
    assert call.hex() == "14ab9038" + "01" * 32 + "5".rjust(64, "0")


def test_decode_reads_what_a_function_returns() -> None:
    returned = bytes.fromhex("20".rjust(64, "0") + "2".rjust(64, "0") + b"hi".hex().ljust(64, "0"))
    assert load_artefact("PublicResolver").decode("text(bytes32,string)", returned) == ("hi",)


def test_bytecode_is_left_out_of_the_repr() -> None:
    assert len(repr(load_artefact("OffchainResolver"))) < 100
