"""Servers of a demo that was killed: the next one of the same folder ends them, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.ending import PID, end_left_behind
from gateway.demo.folder import DemoFolder

SERVE = "import signal, time; signal.signal(signal.SIGTERM, signal.{how}); print(flush=True); time.sleep(600)"


@contextmanager
def server(folder: Path, *arguments: str, how: str = "SIG_DFL") -> Iterator[subprocess.Popen[bytes]]:
    """Something that serves a folder, and is noted there."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", SERVE.format(how=how), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            (folder / PID).write_text(f"{process.pid}\n")
            yield process
        finally:
            process.kill()


def test_what_is_left_behind_is_ended_before_the_folder_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    DemoFolder(folder).close()
    with server(folder / "prosody", f"{folder}/prosody/prosody.cfg.lua") as process, DemoFolder(folder):
        assert process.wait(10) == -signal.SIGTERM
        assert not (folder / "prosody").exists()


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    with server(tmp_path, str(tmp_path), how="SIG_IGN") as process:
        end_left_behind(tmp_path, seconds=0.2)
        assert process.wait(10) == -signal.SIGKILL


def test_a_process_that_serves_another_folder_is_left_alone(tmp_path: Path) -> None:
    """Its number was given again."""
    with server(tmp_path / "prosody", str(tmp_path / "elsewhere")) as process:
        end_left_behind(tmp_path / "prosody")
        assert process.poll() is None


def test_a_folder_without_a_server(tmp_path: Path) -> None:
    end_left_behind(tmp_path)
    for text in ("", "x", "99999999999999", "-1"):
        (tmp_path / PID).write_text(text)
        end_left_behind(tmp_path)
