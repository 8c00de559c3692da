"""Runs targets one after the other, each in a child of this process: the fuzzer owns the process that it runs in.

Imports are instrumented once, and forking keeps what was imported: a target begins some milliseconds after the last
one. What broke a target is printed as Python's repr and left in the folder that is named.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import atheris  # type: ignore[import-untyped]

INSTRUMENTED = ["gateway", "adapters"]
with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.table import GROUPS, chosen
    from tests.fuzz.target import Target

_DONE = re.compile(r"stat::number_of_executed_units: *([0-9]+)")
_COVERED = re.compile(r"cov: ([0-9]+)")
UNIT_SECONDS = 20
"""An input that keeps a reader this long is a fault; a busy machine is none."""
MEMORY_MB = 2048


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and from which random number."""

    seconds: int
    runs: int
    seed: int


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 when no target was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"targets, or groups of them: {', '.join(GROUPS)}; all when none is named"
    )
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    parser.add_argument("--seconds", type=int, default=5, help="of each target")
    parser.add_argument("--runs", type=int, default=-1, help="executions of each target at most; -1 for no limit")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big") + 1, help="of the search")
    parser.add_argument("--replay", type=Path, help="execute one input, of one target, and show what happens")
    given = parser.parse_args(arguments)
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = chosen(given.names)
    if given.list:
        for target in targets:
            print(target.name)
        return 0
    if given.replay is not None:
        for target in targets:
            target(given.replay.read_bytes())
        return 0
    plan = Plan(given.seconds, given.runs, given.seed)
    print(f"seed {plan.seed}", flush=True)
    return max([run(target, plan) for target in targets], default=0)


def run(target: Target, plan: Plan) -> int:
    """One target in a child; prints what it did, and what broke it."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target.name}-"))
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)
    words = "\n".join(f'"{_escaped(word)}"' for word in target.words)
    (folder / "words").write_text(f"{words}\n")
    began = time.monotonic()
    log = folder / "log"
    child = os.fork()
    if not child:
        _fuzz(target, plan, folder)
    _, ended = os.waitpid(child, 0)
    status, written = os.waitstatus_to_exitcode(ended), log.read_text("utf-8", "replace")
    done, covered = _DONE.search(written), _COVERED.findall(written)
    print(
        f"{'ok' if status == 0 else 'BROKEN':6} {target.name:24} {done[1] if done else '?':>8} executions"
        f" {covered[-1] if covered else '?':>6} places {time.monotonic() - began:6.1f} s",
        flush=True,
    )
    if status:
        print(written[-6000:])
        for crash in sorted(folder.glob("*-*")):
            print(f"{crash}: {crash.read_bytes()[:2000]!r}", flush=True)
        return 1
    _remove(folder)
    return 0


def _fuzz(target: Target, plan: Plan, folder: Path) -> None:
    """Never returns: the fuzzer ends the process."""
    descriptor = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for each in (1, 2):
        os.dup2(descriptor, each)
    options = [
        sys.argv[0],
        f"-max_total_time={plan.seconds}",
        f"-runs={plan.runs}",
        f"-seed={plan.seed}",
        f"-max_len={target.max_bytes}",
        f"-timeout={UNIT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-dict={folder / 'words'}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-verbosity=1",
        # Long inputs at once: seeds are longer than what a search from nothing would begin with.
        "-len_control=0",
        str(folder / "seeds"),
    ]
    atheris.Setup(options, target)
    atheris.Fuzz()
    os._exit(70)


def _escaped(word: str) -> str:
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in '"\\' else f"\\x{byte:02x}" for byte in word.encode()
    )


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
