"""Every parser of untrusted bytes under the fuzzer, in processes of its own; ``--long`` gives each target a minute.

A target is broken by whatever it raises that its protocol does not name, by a property that does not hold, by an input
that takes it 20 s, and by more than 2 GB of memory. The short form begins from a fixed number, so it does the same
every day; the long form from a new one, which it tells.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.table import GROUPS, targets_of
from tests.support.require import require

ROOT = Path(__file__).parents[2]
RUNS = 2_000
"""Of each target in the short form, if a second is enough for them."""
LINE = re.compile(r"^(ok|BROKEN) +(\S+) +([0-9]+) executions +([0-9?]+) places", re.MULTILINE)


def fuzzed(*arguments: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """One process of the runner, below the priority of whatever else is tested."""
    require(
        sys.platform == "linux" and importlib.util.find_spec("atheris"), "atheris is for Linux (pip install atheris)"
    )
    command = [sys.executable, "-m", "tests.fuzz", *arguments, "--seconds", str(seconds)]
    # The interpreter's warnings are those of the libraries here, and coverage of its own is the fuzzer's.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COVERAGE", "PYTHONWARN"))}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.attack(17)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.timeout(3 * 3600)
def test_no_input_breaks_a_reader(group: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--long"):
        ended = fuzzed(group, seconds=60)
    else:
        ended = fuzzed(group, "--runs", str(RUNS), "--seed", "1", seconds=1)
    found = {name: (outcome, int(runs)) for outcome, name, runs, _ in LINE.findall(ended.stdout)}
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-4_000:]
    targets = targets_of(group)
    assert list(found) == [target.name for target in targets]
    for target in targets:
        # All seeds, and something made of them.
        assert found[target.name][0] == "ok"
        assert found[target.name][1] > 2 * len(target.seeds)


def test_a_fault_is_found_and_shown() -> None:
    """One that was put there: without this, silence would prove nothing."""
    ended = fuzzed("planted", "--seed", "1", seconds=30)
    assert ended.returncode == 1
    assert "BROKEN planted" in ended.stdout
    assert "IndexError: a fault that was put here" in ended.stdout
    assert "b'bad" in ended.stdout


def test_names_of_targets_are_their_own() -> None:
    names = [target.name for group in GROUPS for target in targets_of(group)]
    assert len({*names, *GROUPS}) == len(names) + len(GROUPS)
