"""A reader of PromQL for what our rules and board use: whether an expression parses, and what it is about.

Prometheus' own checker is no package of Python. Known are numbers, selectors with ranges, functions, aggregations
with ``by``, binary operators with ``on``; everything else is a fault, also where Prometheus would take it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:e\d+)?(?![\w.]))|(?P<range>\[(?:\d+[smhd]|\$__rate_interval)\])"
    r"|(?P<name>[a-zA-Z_:][\w:]*)|(?P<text>\"[^\"\\]*\")|(?P<sign>==|!=|=~|!~|<=|>=|[-+*/<>=(){},]))"
)
AGGREGATIONS: Final = frozenset({"sum", "min", "max", "count", "avg"})
FUNCTIONS: Final = frozenset({"rate", "increase", "histogram_quantile"})
RANGED: Final = frozenset({"rate", "increase"})
OPERATORS: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "and", "or", "unless"})


class PromqlError(Exception):
    """An expression that is none."""


@dataclass
class Expression:
    """What an expression reads."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    """Labels that its selectors match, by metric."""
    grouped: set[str] = field(default_factory=set)
    """Labels of ``by`` and ``on``."""


def parse(text: str) -> Expression:
    """Read one expression; raises PromqlError."""
    reader = _Reader(_tokens(text))
    reader.expression()
    if reader.left:
        raise PromqlError(f"what does {reader.left[0]} do there: {text}")
    return reader.found


def _tokens(text: str) -> list[str]:
    tokens, at, text = [], 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PromqlError(f"cannot read on at {text[at : at + 20]!r}")
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.left = tokens
        self._last = ""
        self.found = Expression()

    def expression(self) -> None:
        self._operand()
        while self.left and self.left[0] in OPERATORS:
            self._next()
            if self._peek() == "on":
                self._next()
                self.found.grouped |= self._labels()
            self._operand()

    def _operand(self) -> None:
        token = self._next()
        if token == "(":
            self.expression()
            self._expect(")")
        elif token in AGGREGATIONS:
            if self._peek() == "by":
                self._next()
                self.found.grouped |= self._labels()
            self._call(ranged=False)
        elif token in FUNCTIONS:
            self._call(ranged=token in RANGED)
        elif token[0].isdigit():
            return
        elif re.fullmatch(r"[a-zA-Z_:][\w:]*", token) and token not in OPERATORS:
            self._selector(token)
        else:
            raise PromqlError(f"{token} is no operand")

    def _call(self, *, ranged: bool) -> None:
        self._expect("(")
        self.expression()
        while self._peek() == ",":
            self._next()
            self.expression()
        if ranged and not self._last.startswith("["):
            raise PromqlError("a rate needs a range")
        self._expect(")")

    def _selector(self, metric: str) -> None:
        labels = self.found.metrics.setdefault(metric, set())
        if self._peek() == "{":
            self._next()
            while self._peek() != "}":
                labels.add(self._next())
                if self._next() not in {"=", "!=", "=~", "!~"} or not self._next().startswith('"'):
                    raise PromqlError(f"a matcher of {metric}")
                if self._peek() == ",":
                    self._next()
            self._next()
        if (self._peek() or "").startswith("["):
            self._next()

    def _labels(self) -> set[str]:
        self._expect("(")
        found = {self._next()}
        while self._peek() == ",":
            self._next()
            found.add(self._next())
        self._expect(")")
        return found

    def _peek(self) -> str | None:
        return self.left[0] if self.left else None

    def _next(self) -> str:
        if not self.left:
            raise PromqlError("it ends too early")
        self._last = self.left.pop(0)
        return self._last

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise PromqlError(f"{found} instead of {token}")
