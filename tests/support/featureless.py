"""Our resolver contract as it would be without ENSIP-22: a universal resolver then asks through a batch gateway."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

from gateway.demo.chain.artefacts import Artefact, parse_artefact
from tests.support.require import require

SOURCE: Final = Path(__file__).parents[2] / "deploy" / "contracts" / "OffchainResolver.vy"
FEATURES: Final = ", FEATURES_ID]"


@cache
def featureless_resolver() -> Artefact:
    """Compiled anew; skips the test where the compiler is missing."""
    require(importlib.util.find_spec("vyper"), "vyper is not installed (pip install vyper==0.4.3)")
    from vyper.compiler import compile_code

    source = SOURCE.read_text()
    assert source.count(FEATURES) == 1
    output = compile_code(source.replace(FEATURES, "]"), output_formats=["abi", "bytecode", "bytecode_runtime"])
    return parse_artefact(
        {
            "name": "OffchainResolver",
            "abi": output["abi"],
            "bytecode": output["bytecode"],
            "runtime_bytecode": output["bytecode_runtime"],
        }
    )
