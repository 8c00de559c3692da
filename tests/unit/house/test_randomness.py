"""What is secret comes from the operating system: Python's own generator, which can be foretold, is for pauses only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ADD_SOME = {"uniform", "random", "shuffle", "sample", "choice"}
"""Ways to spread pauses and to change an order."""
ALLOWED = {
    "gateway/lifecycle.py": "pauses before a task is started again",
    "gateway/work/results.py": "pauses before a job is tried again",
    "adapters/xmpp/link.py": "pauses before a connection is tried again",
    "adapters/email/routes.py": "the order of mail servers of one preference",
    "adapters/email/destinations.py": "pauses before a mail server is tried again",
    "adapters/email/sent.py": "when old files are looked for",
}
GENERATORS = {"random", "numpy.random"}


def _sources() -> Iterator[Path]:
    for folder in ("gateway", "adapters"):
        yield from (ROOT / folder).rglob("*.py")


def _imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found & GENERATORS


@pytest.mark.attack(44)
def test_no_secret_can_be_foretold() -> None:
    using = {
        str(path.relative_to(ROOT)): path
        for path in _sources()
        if _imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert using.keys() == ALLOWED.keys()
    for path in using.values():
        calls = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
        }
        assert calls <= ADD_SOME, path


@pytest.mark.attack(44)
def test_the_rule_would_notice() -> None:
    assert _imported(ast.parse("def f():\n    import random\n    return random.randint(0, 99_999)")) == {"random"}
    assert _imported(ast.parse("from random import choice")) == {"random"}
    assert not _imported(ast.parse("import secrets\nfrom nacl.utils import random"))
