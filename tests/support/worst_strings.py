"""Strings that keep a backtracking matcher busy, made from the expression itself.

For every loop of an expression: the shortest way to reach it, its body over and over, and an end that does not fit, so
that the matcher tries everything it has passed.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from gateway.errors import GatewayError

LENGTH = 100_000
BOUND = 0.05
"""Seconds."""
MANY = 20
"""Loops with fewer turns are left alone."""
ENDS = ("", "\0", "!", "\n")


def seconds(work: Callable[[], object]) -> float:
    """Of this thread's own time, the best of at most three."""
    best = float("inf")
    for _ in range(3):
        started = time.thread_time()
        with contextlib.suppress(GatewayError, ValueError):
            work()
        best = min(best, time.thread_time() - started)
        if best < BOUND / 2:
            break
    return best


def worst_strings(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Strings of about `length` characters for every loop of `pattern`."""
    # By its name: types know it or not, by what else is checked.
    parser: Any = importlib.import_module("re._parser")
    parsed = list(parser.parse(pattern.pattern, pattern.flags))
    for before, bodies in _loops(parsed, ""):
        units = list(dict.fromkeys([*bodies, "".join(bodies)]))
        for unit in filter(None, units):
            filled = unit * (length // len(unit))
            for end in ENDS:
                yield before + filled + end
            # Every turn a place to begin anew, for expressions that are searched for.
            if before:
                yield (before + unit) * (length // len(before + unit))


def _loops(parsed: Sequence[Any], before: str) -> Iterator[tuple[str, list[str]]]:
    """(how to get there, samples of the body) of each loop."""
    for operation, argument in parsed:
        name = str(operation)
        if name.endswith("_REPEAT"):
            _, most, body = argument
            if int(most) >= MANY:
                yield before, list(islice(_samples(body), 8))
            yield from _loops(list(body), before)
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            yield from _loops(list(argument[-1] if name == "SUBPATTERN" else argument), before)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from _loops(list(argument[1]), before)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from _loops(list(branch), before)
        before += next(_samples([(operation, argument)]), "")


def _samples(parsed: Any) -> Iterator[str]:
    """Some of the shortest matches, those that lead through different branches and ends of classes first."""
    parts: list[list[str]] = []
    for operation, argument in parsed:
        match str(operation):
            case "LITERAL":
                parts.append([chr(argument)])
            case "NOT_LITERAL":
                parts.append(["a" if argument != ord("a") else "b"])
            case "ANY":
                parts.append(["a", "."])
            case "IN":
                parts.append(_members(argument))
            case "BRANCH":
                parts.append([text for branch in argument[1] for text in islice(_samples(branch), 2)] or [""])
            case "SUBPATTERN":
                parts.append(list(islice(_samples(argument[-1]), 4)) or [""])
            case "ATOMIC_GROUP":
                parts.append(list(islice(_samples(argument), 4)) or [""])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, _, body = argument
                parts.append([text * max(least, 1) for text in islice(_samples(body), 3)] if least else [""])
    for number in range(max(map(len, parts), default=0)):
        yield "".join(part[number % len(part)] for part in parts)


def _members(members: Sequence[Any]) -> list[str]:
    """The ends of a class of characters, or some that are not in it."""
    excluded = [str(kind) for kind, _ in members[:1]] == ["NEGATE"]
    found: list[str] = []
    for kind, argument in members:
        match str(kind):
            case "LITERAL":
                found.append(chr(argument))
            case "RANGE":
                found += [chr(argument[0]), chr(min(argument[1], 0x24F))]
            case "CATEGORY":
                found.append({"CATEGORY_SPACE": " ", "CATEGORY_DIGIT": "0"}.get(str(argument), "a"))
    if excluded:
        return [char for char in ("a", "0", "é", "-", ";") if char not in found] or ["z"]
    return found
