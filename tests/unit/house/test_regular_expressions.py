"""No expression of ours can be kept busy by its input, and none of the readers that stand on them.

Time is that of the thread alone, the best of three, so that a busy machine does not count; the bound is ten times
what the slowest takes.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import gateway
from tests.support.worst_strings import BOUND, LENGTH, seconds, worst_strings

ROOT = Path(gateway.__file__).parents[1]
USES = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")
NOT_FOR_STRANGERS = ("gateway/demo/", "gateway/sdk/testing/", "gateway/cli.py")


@dataclass(frozen=True, slots=True)
class Use:
    """An expression, and what is done with it."""

    where: str
    pattern: re.Pattern[str]
    method: str

    def __str__(self) -> str:
        return f"{self.where} {self.method}"

    def on(self, text: str) -> object:
        """Use it on a text."""
        match self.method:
            case "sub":
                return self.pattern.sub("", text)
            case "finditer":
                return sum(1 for _ in self.pattern.finditer(text))
            case _:
                return getattr(self.pattern, self.method)(text)


def uses() -> Iterator[Use]:
    """All of them, read from the source."""
    for path in sorted(path for folder in ("gateway", "adapters") for path in (ROOT / folder).rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(NOT_FOR_STRANGERS):
            continue
        for name, method, literal in _uses_in(ast.parse(path.read_text(encoding="utf-8"))):
            if literal is not None:
                yield Use(f"{file} {literal}", re.compile(literal), method)
                continue
            module = importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
            pattern = getattr(module, name, None)
            if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
                yield Use(f"{file} {name}", pattern, method)


def _uses_in(tree: ast.AST) -> Iterator[tuple[str, str, str | None]]:
    """(name, method, None) of a compiled expression, ("", method, text) of one that is written where it is used."""
    found: dict[tuple[str, str, str | None], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in USES:
            found[node.value.id, node.attr, None] = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            function, text = node.func, node.args[0]
            inline = isinstance(function.value, ast.Name) and function.value.id == "re" and function.attr in USES
            if inline and isinstance(text, ast.Constant) and isinstance(text.value, str):
                found["", function.attr, text.value] = None
    yield from (use for use in found if use[0] != "re")


ALL = list(uses())


def test_the_expressions_are_found() -> None:
    files = {use.where.partition(" ")[0] for use in ALL}
    assert len(ALL) > 50
    assert {"gateway/relay/sessions.py", "gateway/ens/targets.py", "gateway/dm3/siwe.py"} <= files


@pytest.mark.attack(30)
@pytest.mark.parametrize("use", ALL, ids=str)
def test_no_expression_can_be_kept_busy(use: Use) -> None:
    for text in worst_strings(use.pattern, LENGTH):
        assert seconds(partial(use.on, text)) < BOUND, text[:80]


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    ("planted", "method", "length"),
    [
        (r"(a+)+\Z", "match", 20),
        (r"(?:\w+\s?)+;", "match", 20),
        (r"\s*\s*x", "match", 4_000),
        (r"[^,]*@", "search", 10_000),
        (r"<[^>]*>", "sub", 20_000),
    ],
)
def test_a_planted_one_is_found(planted: str, method: str, length: int) -> None:
    """Exponential and quadratic ones, at lengths that a linear one does not even feel."""
    use = Use("planted", re.compile(planted), method)
    assert any(seconds(partial(use.on, text)) > BOUND / 10 for text in worst_strings(use.pattern, length))
