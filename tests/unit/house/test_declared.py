"""What the code imports is declared: an installation must not live on what another package happens to bring."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = {"gateway", "adapters"}
PARTS_OF = {
    "uvloop": "uvicorn",
    "starlette": "fastapi",
    "vodozemac": "matrix-nio",
    "eth_account": "web3",
    "eth_typing": "web3",
    "eth_utils": "web3",
    "hexbytes": "web3",
}
"""Packages whose types are in the interface of a declared one, or that one of its extras brings."""


def canonical(distribution: str) -> str:
    """The name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {canonical(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9._-]+", line))}


def imported(package: str) -> set[str]:
    """Top-level modules that a package's files import, wherever in the file."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


@pytest.mark.weakness(21)
@pytest.mark.parametrize("package", sorted(OURS))
def test_every_import_is_declared(package: str) -> None:
    brought_by = packages_distributions()
    modules = imported(package)
    assert modules
    missing = {
        module
        for module in modules
        if not {canonical(name) for name in brought_by.get(module, [PARTS_OF.get(module, module)])} & declared()
        and PARTS_OF.get(module) not in declared()
    }
    assert missing == set()
