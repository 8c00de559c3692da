"""Node.js and the published JavaScript clients: installed once, asked over standard input and output."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.require import require

JS_FOLDER = Path(__file__).parents[1] / "interop" / "js"
INSTALL_SECONDS = 600
"""Upper bound for an installation; one from a warm cache takes a few."""


def node() -> str:
    """Path of the node program; skips the test where there is none."""
    path = shutil.which("node")
    require(path, "node is not installed (apt install nodejs npm)")
    assert path is not None
    return path


def node_modules() -> Path:
    """The folder of the installed JavaScript packages, as tests/interop/js/package.json pins them.

    Installs them when they are missing or the file has changed; processes that come at the same time wait for the
    first. Skips the test when npm is missing or cannot install.
    """
    node()
    npm = shutil.which("npm")
    require(npm, "npm is not installed (apt install npm)")
    assert npm is not None
    manifest = JS_FOLDER / "package.json"
    modules = JS_FOLDER / "node_modules"
    stamp = modules / ".installed-from"
    with _locked(manifest):
        wanted = hashlib.sha256(manifest.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text("ascii") != wanted:
            _install(npm)
            stamp.write_text(wanted, "ascii")
    return modules


def _install(npm: str) -> None:
    try:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
            cwd=JS_FOLDER,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        require(False, f"npm install did not end within {INSTALL_SECONDS} s")
        return
    require(done.returncode == 0, f"npm install failed: {done.stderr.strip()[-300:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class NodeError(Exception):
    """What a script threw, as text."""


class NodeScript:
    """A running script that answers one line of JSON ``{op, args}`` with one line ``{ok}`` or ``{error}``."""

    def __init__(self, script: Path) -> None:
        node_modules()
        self._process = subprocess.Popen(
            [node(), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def call(self, op: str, **args: Any) -> Any:
        """The script's answer; raises NodeError when its code threw."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, "args": args}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NodeError(f"the script ended with {self._process.wait(10)}")
        answer = json.loads(line)
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer.get("ok")

    def close(self) -> None:
        """End the script and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()
