"""Contracts that only tests need, in Vyper, compiled when they are first asked for."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from gateway.demo.chain.artefacts import Artefact, parse_artefact
from tests.support.require import require

HERE = Path(__file__).parent


@cache
def compiled(name: str) -> Artefact:
    """The artefact of ``<name>.vy`` in this folder; skips the test where the compiler is missing."""
    require(importlib.util.find_spec("vyper"), "vyper is not installed (pip install vyper==0.4.3)")
    from vyper.compiler import compile_code

    output = compile_code((HERE / f"{name}.vy").read_text(), output_formats=["abi", "bytecode", "bytecode_runtime"])
    return parse_artefact(
        {
            "name": name,
            "abi": output["abi"],
            "bytecode": output["bytecode"],
            "runtime_bytecode": output["bytecode_runtime"],
        }
    )
