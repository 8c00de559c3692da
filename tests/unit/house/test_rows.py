"""Every row of the two threat tables has a test that names it, or a line of SECURITY.md that says why not.

`weakness` counts the weaknesses of the reference delivery service, `attack` the threat table.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
SECURITY = TESTS.parent / "SECURITY.md"
WEAKNESSES = frozenset(range(1, 23))
ATTACKS = frozenset(range(1, 61))
LINE = re.compile(r"\| (\d+) \| [^|]+ \| ([^|]+) \|(?: `([^`|]+)`)? \|")


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
def shown() -> dict[str, dict[int, set[str]]]:
    """Files that show a row, below ``tests/``, by table and row."""
    found: defaultdict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in TESTS.rglob("test_*.py"):
        for marker, row in marks(ast.parse(path.read_text(encoding="utf-8"))):
            found[marker][row].add(path.relative_to(TESTS).as_posix())
    return found


@pytest.fixture(scope="module")
def told() -> dict[int, tuple[str, str]]:
    """Defence and file of each row of SECURITY.md; "" where no test shows it."""
    lines = SECURITY.read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := LINE.fullmatch(line))]
    return {int(match[1]): (match[2], match[3] or "") for match in found}


def test_every_weakness_of_the_reference_is_shown_closed(shown: dict[str, dict[int, set[str]]]) -> None:
    assert WEAKNESSES - shown["weakness"].keys() == set()


def test_every_attack_has_its_line(told: dict[int, tuple[str, str]]) -> None:
    assert list(told) == sorted(ATTACKS)


def test_every_attack_has_its_test_or_a_reason(
    shown: dict[str, dict[int, set[str]]], told: dict[int, tuple[str, str]]
) -> None:
    for row, (defence, file) in told.items():
        if file:
            assert file in shown["attack"].get(row, set()), f"row {row}: {file} does not name it"
        else:
            assert defence.startswith("not here"), f"row {row} has neither a test nor a reason"


def test_no_test_names_a_row_that_does_not_exist(shown: dict[str, dict[int, set[str]]]) -> None:
    assert shown["weakness"].keys() <= WEAKNESSES
    assert shown["attack"].keys() <= ATTACKS
