"""Compiled contracts: reading the artefacts that ``deploy/contracts/build.py`` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode, encode

from gateway.dm3.eth import keccak256
from gateway.errors import NotFound

_INSTALLED: Final = Path(__file__).resolve().parents[1] / "_contracts"
_CHECKOUT: Final = Path(__file__).resolve().parents[3] / "deploy" / "contracts" / "artefacts"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract: its selector, and the ABI types that go in and come out."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Artefact:
    """One compiled contract; calls of it are encoded and its answers decoded here."""

    name: str
    abi: list[dict[str, Any]] = field(repr=False)
    bytecode: bytes = field(repr=False)
    runtime_bytecode: bytes = field(repr=False)
    functions: Mapping[str, Function] = field(repr=False)
    """By signature, e.g. ``setText(bytes32,string,string)``."""

    def creation_code(self, *arguments: object) -> bytes:
        """Creation code followed by the constructor's ABI-encoded arguments."""
        inputs = [parameter for entry in self.abi if entry["type"] == "constructor" for parameter in entry["inputs"]]
        return self.bytecode + encode([_canonical(parameter) for parameter in inputs], arguments)

    def call(self, signature: str, *arguments: object) -> bytes:
        """Calldata of a function given by its signature; raises NotFound when the contract has no such function."""
        function = self._function(signature)
        return function.selector + encode(function.inputs, arguments)

    def decode(self, signature: str, data: bytes) -> tuple[Any, ...]:
        """The values that a function returned, in Python's types (addresses as 0x hex text)."""
        return decode(self._function(signature).outputs, data)

    def _function(self, signature: str) -> Function:
        try:
            return self.functions[signature]
        except KeyError:
            raise NotFound(f"{self.name} has no function {signature}") from None


@cache
def load_artefact(name: str) -> Artefact:
    """The artefact called ``name``, from the installed package or from the checkout; raises NotFound.

    Reads a file, once per name and process.
    """
    for folder in (_INSTALLED, _CHECKOUT):
        path = folder / f"{name}.json"
        if path.is_file():
            return parse_artefact(json.loads(path.read_text(encoding="utf-8")))
    raise NotFound(f"no contract artefact {name}.json in {_INSTALLED} or {_CHECKOUT}")


def parse_artefact(document: dict[str, Any]) -> Artefact:
    """The artefact in a document of ``deploy/contracts/build.py``."""
    return Artefact(
        name=document["name"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"][2:]),
        runtime_bytecode=bytes.fromhex(document["runtime_bytecode"][2:]),
        functions=dict(_functions(document["abi"])),
    )


def _functions(abi: list[dict[str, Any]]) -> list[tuple[str, Function]]:
    found = []
    for entry in abi:
        if entry["type"] == "function":
            inputs = tuple(_canonical(parameter) for parameter in entry["inputs"])
            outputs = tuple(_canonical(parameter) for parameter in entry["outputs"])
            signature = f"{entry['name']}({','.join(inputs)})"
            found.append((signature, Function(keccak256(signature.encode())[:4], inputs, outputs)))
    return found


def _canonical(parameter: dict[str, Any]) -> str:
    """The type as it stands in a signature: a struct is written as the list of its parts."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_canonical(part) for part in parameter['components'])}){kind[5:]}"
