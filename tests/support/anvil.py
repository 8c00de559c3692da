"""anvil, the development chain of others, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.node import node_modules
from tests.support.require import require

START_TIMEOUT_S = 60.0


@contextmanager
def running_anvil(folder: Path, *options: str) -> Iterator[str]:
    """The URL of a fresh chain whose output goes into ``folder``; skips the test where anvil is missing."""
    binary = next(Path(node_modules()).glob("@foundry-rs/anvil-*/bin/anvil"), None)
    require(binary, "anvil is not installed (npm install in tests/interop/js)")
    assert binary is not None
    # A file and not a pipe: anvil tells of every call, and would stand still as soon as a pipe is full.
    output = folder / "output"
    with (
        output.open("wb") as sink,
        subprocess.Popen([binary, "--port", "0", "--accounts", "1", *options], stdout=sink) as process,
    ):
        try:
            yield "http://" + _listening(process, output)
        finally:
            process.terminate()


def _listening(process: subprocess.Popen[bytes], output: Path) -> str:
    """Host and port that anvil announces."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        announced = re.search(r"Listening on (\S+)\n", output.read_text())
        if announced is not None:
            return announced[1]
        time.sleep(0.01)
    raise RuntimeError("anvil did not start")
