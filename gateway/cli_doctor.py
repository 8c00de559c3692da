"""The command that looks for what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli_common import ConfigOption, out
from gateway.observability import set_up_logging
from gateway.settings import find_config, load_settings

if TYPE_CHECKING:
    from gateway.sdk.examination import Finding, State

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def doctor(
    config: ConfigOption = None,
    only: Annotated[str, typer.Option(help="These groups only, e.g. store,names,email.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at settings, keys, database, chain, names, addresses and networks; say what is wrong and how it is mended.

    The gateway may run meanwhile, and should: much is asked of it from outside. Nothing is changed. Exit code 1 when
    something fails; a warning is none.
    """
    from gateway.operations import doctor as examination
    from gateway.operations.checks.installation import KeyReaders
    from gateway.relay.keys import load_service_keys
    from gateway.relay.notify.vapid import load_vapid_key

    set_up_logging("ERROR")
    path = find_config(config)
    started = time.monotonic()
    known = examination.groups(load_settings(path), path, KeyReaders(load_service_keys, load_vapid_key))
    found = asyncio.run(examination.examine(examination.choose(known, tuple(filter(None, only.split(","))))))
    if as_json:
        typer.echo(json.dumps(examination.as_json(found), indent=2, ensure_ascii=False))
    else:
        _tell(found)
        _sum_up(examination.counted(found), time.monotonic() - started)
    raise typer.Exit(1 if examination.worst(found) == "fail" else 0)


def _tell(found: Mapping[str, Sequence[Finding]]) -> None:
    """One line for each check, what to do below it, and what to copy below that, without anything beside it."""
    for name, findings in found.items():
        out.print(name, style="bold", markup=False)
        for each in findings:
            out.print(f"  {each.state:<4}  {each.check}: {each.found}", style=_COLOURS[each.state], markup=False)
            if each.fix:
                out.print(f"        {each.fix}", markup=False)
            for line in each.lines:
                typer.echo(line)


def _sum_up(counts: Mapping[State, int], seconds: float) -> None:
    total = sum(counts.values())
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    worst = next((state for state in ("fail", "warn") if any(n for s, n in counts.items() if s == state)), "ok")
    out.print(f"{total} checks in {seconds:.1f} s: {told}", style=f"bold {_COLOURS[worst]}", markup=False)
