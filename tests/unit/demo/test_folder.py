"""The demo's folder: whose it is, and what is removed from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo.folder import MARKER, DemoFolder
from gateway.errors import ConfigError

HOLD = """
import sys
from pathlib import Path
from gateway.demo.folder import DemoFolder
held = DemoFolder(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_it_is_emptied_and_marked(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "world"
    with DemoFolder(folder):
        (folder / "synapse").mkdir()
        (folder / "synapse" / "log").write_text("x")
        (folder / "gateway.toml").write_text("x")
        (folder / "link").symlink_to(tmp_path)
    with DemoFolder(folder):
        assert left(folder) == [MARKER]
    assert left(tmp_path) == ["a"]


def test_one_demo_at_a_time(tmp_path: Path) -> None:
    with DemoFolder(tmp_path):
        (tmp_path / "seed.key").write_text("x")
        for _ in range(2):
            with pytest.raises(ConfigError, match="already; end it, or name another folder with --dir"):
                DemoFolder(tmp_path)
        assert left(tmp_path) == [MARKER, "seed.key"]
        with DemoFolder(tmp_path / "other"):
            pass
    with DemoFolder(tmp_path):
        assert left(tmp_path) == [MARKER]


def test_one_that_is_killed_holds_it_no_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError):
            DemoFolder(tmp_path)
        os.kill(other.pid, signal.SIGKILL)
    with DemoFolder(tmp_path):
        pass


def test_what_is_not_the_demo_s_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a demo's folder"):
        DemoFolder(tmp_path)
    assert left(tmp_path) == ["thesis.txt"]
