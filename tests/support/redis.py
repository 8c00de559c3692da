"""A real Redis server for tests: private, in memory only, on a free port of this machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.require import require

PROGRAM: Final = "redis-server"
START_TIMEOUT_S: Final = 30.0
PORTS_TRIED: Final = 5


class RedisServer:
    """One server; it can be stopped and started again at the same port, with nothing left of before."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What belongs into `[store] redis_url`."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start and wait until it answers; somebody else may take a free port before we do, so several are tried."""
        for _ in range(1 if self._port else PORTS_TRIED):
            port = self._port or _free_port()
            if self._answers(port):
                self._port = port
                return
        raise RuntimeError(f"{PROGRAM} did not start:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """End the process; whoever was connected is disconnected."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self, port: int) -> bool:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            # Another server at this port would answer too; ours ends when the port is taken.
            if _pong(port) and self._process.poll() is None:
                return True
            time.sleep(0.02)
        self.stop()
        return False


def _pong(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of this test's own."""
    program = shutil.which(PROGRAM)
    require(program, f"{PROGRAM} is not installed (apt install redis-server)")
    assert program is not None
    server = RedisServer(program)
    server.start()
    yield server
    server.remove()
