"""Every row of the two threat tables that is closed has a test that names it.

`weakness` counts the weaknesses of the reference delivery service, `attack` the threat table.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
WEAKNESSES = frozenset(range(1, 23))
ATTACKS = frozenset(range(1, 41)) | {45, 46, 47, 48, 49, 50, 51}


def marks(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(marker, row) of every decorator and of every mark in a list of marks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
            (row,) = node.args
            if (
                node.func.attr in ("weakness", "attack")
                and isinstance(row, ast.Constant)
                and isinstance(row.value, int)
            ):
                yield node.func.attr, row.value


@pytest.fixture(scope="module")
def shown() -> dict[str, set[int]]:
    """Rows by table."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for marker, row in marks(ast.parse(path.read_text(encoding="utf-8"))):
            found[marker].add(row)
    return found


def test_every_weakness_of_the_reference_is_shown_closed(shown: dict[str, set[int]]) -> None:
    assert WEAKNESSES - shown["weakness"] == set()


def test_every_attack_on_relay_and_names_has_its_test(shown: dict[str, set[int]]) -> None:
    assert ATTACKS - shown["attack"] == set()


def test_no_test_names_a_row_that_does_not_exist(shown: dict[str, set[int]]) -> None:
    assert shown["weakness"] <= WEAKNESSES
    assert shown["attack"] <= frozenset(range(1, 61))
