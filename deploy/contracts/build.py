"""Compiles every contract of this folder to ``artefacts/<name>.json``.

An artefact is a JSON object: ``name``, ``abi``, ``bytecode`` (creation code without constructor arguments, 0x hex),
``runtime_bytecode`` (0x hex), ``compiler`` (``vyper <version>``) and ``source_sha256`` (hex digest of the source file).
Run ``python deploy/contracts/build.py`` after a change of a source; the tests compare artefacts with sources.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ARTEFACTS = HERE / "artefacts"


def sources() -> list[Path]:
    """The Vyper files of this folder in the order of their names."""
    return sorted(HERE.glob("*.vy"))


def artefact_path(source: Path) -> Path:
    """Where the artefact of ``source`` lies."""
    return ARTEFACTS / f"{source.stem}.json"


def compile_source(source: Path) -> dict[str, Any]:
    """The artefact of one source file; raises ``vyper.exceptions.VyperException`` when it does not compile."""
    import vyper
    from vyper.compiler import compile_code

    text = source.read_text(encoding="utf-8")
    output = compile_code(text, output_formats=["abi", "bytecode", "bytecode_runtime"])
    return {
        "name": source.stem,
        "compiler": f"vyper {vyper.__version__}",
        "source_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "abi": output["abi"],
        "bytecode": output["bytecode"],
        "runtime_bytecode": output["bytecode_runtime"],
    }


def render(artefact: dict[str, Any]) -> str:
    """The text of an artefact file."""
    return json.dumps(artefact, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write all artefacts."""
    ARTEFACTS.mkdir(exist_ok=True)
    for source in sources():
        artefact_path(source).write_text(render(compile_source(source)), encoding="utf-8")


if __name__ == "__main__":
    main()
