"""``python -m tests.bench [row ...]``: measure, print a table, write bench.json."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from gateway.observability import set_up_logging
from tests.bench.machine import LOAD_CORE, description, pin
from tests.bench.results import Figure, print_table, write_json
from tests.bench.rows import (
    bridge,
    conversation,
    footprint,
    growth,
    lookup,
    mail,
    mailbox,
    names_import,
    queue,
    soak,
    submit,
    submit_postgresql,
    transactions,
    xmpp,
)
from tests.bench.scale import FULL, TINY, Scale

WIDTH: Final = 120

Row = Callable[[Path, Scale], Awaitable[list[Figure]]]

ROWS: Final[dict[str, Row]] = {
    "submit": submit.measure,
    "submit-postgresql": submit_postgresql.measure,
    "queue": queue.measure,
    "pick-up": mailbox.measure_pick_up,
    "acknowledge": mailbox.measure_acknowledge,
    "look-up": lookup.measure,
    "growth": growth.measure,
    "footprint": footprint.measure,
    "import": names_import.measure,
    "transactions": transactions.measure,
    "conversation": conversation.measure,
    "xmpp": xmpp.measure,
    "mail": mail.measure,
    "bridge": bridge.measure,
    "soak": soak.measure,
}
LONG: Final = ("soak",)
"""Rows that are measured only when they are named."""
RECORDED: Final = (
    "Recorded earlier, not in this run: the reference spends 22.8 ms per envelope, and 7.4 s on acknowledging 200 of "
    "1 000."
)


def main(arguments: Sequence[str]) -> None:
    """Parse, measure, tell."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; all when none is named but soak")
    parser.add_argument("--minutes", type=float, metavar="N", help="how long soak goes on; ten unless said otherwise")
    parser.add_argument("--tiny", action="store_true", help="see that everything runs; the figures mean nothing")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the figures go")
    given = parser.parse_args(arguments)
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)} (there are {', '.join(ROWS)})")
    set_up_logging("ERROR")
    machine = description()
    pin(0, LOAD_CORE)
    scale = TINY if given.tiny else FULL
    if given.minutes is not None:
        scale = replace(scale, minutes=given.minutes)
    rows = given.rows or [row for row in ROWS if row not in LONG]
    figures = asyncio.run(measured(rows, scale))
    print_table(figures, Console(width=WIDTH))
    print(RECORDED)
    write_json(figures, machine, given.out)


async def measured(rows: Sequence[str], scale: Scale) -> list[Figure]:
    """One row after the other, each in a world of its own."""
    figures = []
    for row in rows:
        print(f"{row} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            figures += await ROWS[row](Path(folder), scale)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
