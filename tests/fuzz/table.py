"""All targets, by groups that one process runs after the other."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

from tests.fuzz.target import Target

GROUPS: Final = ("dm3", "name", "chain", "issuing", "mail", "proof", "xmpp", "matrix", "backup")
"""The targets of each stand in the module that is called after it; it is imported when it is needed."""


def _planted(data: bytes) -> None:
    if data[:3] == b"bad":
        raise IndexError("a fault that was put here")


PLANTED: Final = Target("planted", _planted, (b"b", b"good"), ("ba",))
"""Broken on purpose, and in no group: a fuzzer that does not find it would show nothing."""


def targets_of(group: str) -> Sequence[Target]:
    """The targets of one group."""
    found: Sequence[Target] = importlib.import_module(f"tests.fuzz.{group}_readers").TARGETS
    return found


def chosen(names: Sequence[str]) -> list[Target]:
    """Targets by name or by group, in order; all of them when none is named. Raises SystemExit for an unknown name."""
    found: list[Target] = []
    for name in names or GROUPS:
        if name == PLANTED.name:
            found.append(PLANTED)
        elif name in GROUPS:
            found += targets_of(name)
        else:
            found += [_named(name)]
    return found


def _named(name: str) -> Target:
    for group in GROUPS:
        for target in targets_of(group):
            if target.name == name:
                return target
    raise SystemExit(f"no such target or group: {name}")
