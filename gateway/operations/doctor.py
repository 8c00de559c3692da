"""`doctor`: looks at an installation and the world around it, from outside; the gateway may run meanwhile or not.

A group of checks is a name and an asynchronous function that gives findings: the modules of `checks`, and each adapter
that can examine itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.errors import ConfigError, GatewayError
from gateway.operations.adapter_types import adapter_settings, adapter_type
from gateway.operations.checks.backup import backup
from gateway.operations.checks.certificate import tls
from gateway.operations.checks.chain import chain
from gateway.operations.checks.clock import clock
from gateway.operations.checks.configuration import configuration
from gateway.operations.checks.installation import Installation, KeyReaders
from gateway.operations.checks.keys import keys
from gateway.operations.checks.names import names
from gateway.operations.checks.relay import relay
from gateway.operations.checks.store import store
from gateway.sdk.examination import Examines, Finding, State
from gateway.settings import Settings

log = structlog.get_logger(__name__)

GROUP_SECONDS: Final = 9.5
"""For each group; all of them work at the same time."""
GROUPS: Final = {
    "configuration": configuration,
    "keys": keys,
    "store": store,
    "chain": chain,
    "clock": clock,
    "names": names,
    "relay": relay,
    "tls": tls,
    "backup": backup,
}

Examination = Callable[[], Awaitable[Sequence[Finding]]]


def groups(settings: Settings, config: Path, readers: KeyReaders) -> dict[str, Examination]:
    """All groups of checks of an installation, by name; `config` is the file that the settings are from."""
    house = Installation(settings, config, readers)

    def own(name: str) -> Examination:
        return lambda: GROUPS[name](house)

    def adapter(name: str) -> Examination:
        return lambda: _examine_adapter(name, house)

    return {name: own(name) for name in GROUPS} | {name: adapter(name) for name in settings.adapters}


async def examine(chosen: Mapping[str, Examination], seconds: float = GROUP_SECONDS) -> dict[str, tuple[Finding, ...]]:
    """The findings of each group; one that raises or takes too long has failed."""
    found = await asyncio.gather(*(_bounded(each, seconds) for each in chosen.values()))
    return dict(zip(chosen, found, strict=True))


def choose(known: Mapping[str, Examination], only: Sequence[str]) -> dict[str, Examination]:
    """The groups that were asked for, all when none was; raises ConfigError for one that is not there."""
    for name in only:
        if name not in known:
            raise ConfigError(f"--only {name}: there is nothing to examine (there is: {', '.join(known) or 'nothing'})")
    return {name: each for name, each in known.items() if not only or name in only}


def as_json(found: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    """The findings as JSON values, with the worst of all states."""
    return {
        "state": worst(found),
        "counts": counted(found),
        "groups": {
            name: [
                {
                    "check": each.check,
                    "state": each.state,
                    "found": each.found,
                    "fix": each.fix,
                    "lines": list(each.lines),
                }
                for each in findings
            ]
            for name, findings in found.items()
        },
    }


def worst(found: Mapping[str, Sequence[Finding]]) -> State:
    """The worst state of all findings; ok when there are none."""
    states = {each.state for findings in found.values() for each in findings}
    return next((state for state in (State.FAIL, State.WARN) if state in states), State.OK)


def counted(found: Mapping[str, Sequence[Finding]]) -> dict[State, int]:
    """How many findings there are of each state."""
    counts = Counter(each.state for findings in found.values() for each in findings)
    return {state: counts[state] for state in State}


async def _examine_adapter(name: str, house: Installation) -> Sequence[Finding]:
    """What an adapter finds; that it is set up right, where it examines nothing itself."""
    kind: object = adapter_type(name)
    settings = adapter_settings(name, house.settings.adapters[name], house.base)
    if not isinstance(kind, Examines):
        return (Finding(check="settings", state=State.OK, found="the table is right; this adapter checks no more"),)
    return await kind.examine(settings, house.url)


async def _bounded(examination: Examination, seconds: float) -> tuple[Finding, ...]:
    try:
        async with asyncio.timeout(seconds):
            return tuple(await examination())
    except TimeoutError:
        return (_failed(f"the checks did not end within {seconds:.0f} seconds", "look at the network and try again"),)
    except GatewayError as error:
        return (_failed(error.detail, "put the configuration right"),)
    except Exception as error:
        log.exception("doctor.failed")
        return (_failed(f"the checks broke off: {type(error).__name__}", "this is a fault of ours, please report it"),)


def _failed(found: str, fix: str) -> Finding:
    return Finding(check="examination", state=State.FAIL, found=found, fix=fix)
