"""Authentication-Results fields (RFC 8601) of others: reading them, and finding those that claim to be ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from adapters.email.dkim.fields import Field

NAME: Final = "authentication-results"
MAX_FIELD: Final = 16 * 1024
MAX_FIELDS: Final = 50
"""Fields of one mail that are read."""
MAX_RESULTS: Final = 100
"""Results of one field."""
_BLANKS: Final = " \t\r\n"


class MalformedReport(ValueError):
    """Not such a field."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One result: ``dkim=pass header.d=example.org``."""

    method: str
    outcome: str
    properties: Mapping[str, str]
    """By ``ptype.property``; names and values in lower case, but for the values of ``reason``."""


@dataclass(frozen=True, slots=True)
class Report:
    """One field."""

    server: str
    """The authserv-id in lower case."""
    results: tuple[Reported, ...]


def parse_report(value: bytes) -> Report:
    """Read what stands behind the colon; raises MalformedReport. Results in a form that nobody knows are left out."""
    if len(value) > MAX_FIELD:
        raise MalformedReport("field too long")
    first, *others = _statements(value.decode("utf-8", "replace"))
    if not first:
        raise MalformedReport("no authserv-id")
    results = [each for statement in others[:MAX_RESULTS] if (each := _result(statement)) is not None]
    return Report(first[0].lower(), tuple(results))


def reports_of(fields: Iterable[Field], servers: frozenset[str]) -> tuple[Report, ...]:
    """The reports of some servers, first one first; fields that cannot be read are none of theirs."""
    found = []
    for each in [field for field in fields if field.name == NAME][:MAX_FIELDS]:
        try:
            report = parse_report(each.value)
        except MalformedReport:
            continue
        if report.server in servers:
            found.append(report)
    return tuple(found)


def is_forged(field: Field, server: str) -> bool:
    """True for a field that came from outside and claims to be of our server, or that cannot be read (section 5)."""
    if field.name != NAME:
        return False
    try:
        return parse_report(field.value).server == server
    except MalformedReport:
        return True


def _result(words: list[str]) -> Reported | None:
    joined = iter(words)
    method, equals, outcome = next(joined, "").partition("=")
    if not equals or not method or not outcome:
        return None
    properties: dict[str, str] = {}
    for word in joined:
        name, equals, value = word.partition("=")
        if equals:
            properties.setdefault(name.lower(), value.lower())
    return Reported(method.partition("/")[0].lower(), outcome.lower(), properties)


def _statements(text: str) -> list[list[str]]:
    """Words between semicolons; comments are blanks, quoted strings are parts of words, blanks around ``=`` go."""
    statements: list[list[str]] = [[]]
    word: list[str] = []
    depth, quoted, escaped = 0, False, False

    def end_word() -> None:
        if word:
            statements[-1].append("".join(word))
            word.clear()

    for char in text:
        if escaped:
            escaped = False
            if not depth:
                word.append(char)
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif depth:
            depth += {"(": 1, ")": -1}.get(char, 0)
        elif char == '"':
            quoted = not quoted
        elif quoted:
            word.append(char)
        elif char == "(":
            depth = 1
        elif char == ";":
            end_word()
            statements.append([])
        elif char in _BLANKS:
            if word[-1:] != ["="]:
                end_word()
        elif char == "=" and not word and statements[-1]:
            word.extend(statements[-1].pop())
            word.append(char)
        else:
            word.append(char)
    if depth or quoted or escaped:
        raise MalformedReport("comment or quoted string without end")
    end_word()
    return statements
