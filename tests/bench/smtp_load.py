"""A load generator for SMTP in a process of its own: prepared mails, raw sockets, each connection one mail at a time.

It reads commands, one JSON object a line, from standard input and answers each with one line:

``{"letters": path, "rest": path}`` -> ``{"letters": how many the file holds}``
``{"host": h, "port": p, "connections": n, "start": i, "count": n}`` -> ``{"ready": true}`` once n connections are
greeted; then, after any further line, the mails are sent and the answer is ``{"seconds", "latencies", "refused"}``:
wall clock of the whole, of each mail from MAIL to the last reply, and the replies that refused one.

MAIL, RCPT and DATA go out together (RFC 2920), the mail when all three were answered. `letters` holds two entries for
each mail, as `load.write_requests` writes them: these commands, and the mail's beginning; `rest` is what follows in
each.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.load import CHUNK, read_requests

SECONDS: Final = 120.0
"""For one reply, or for one block of a mail."""
GROUP: Final = 3
"""Replies until a mail may be sent."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as it goes over the wire."""

    commands: bytes
    beginning: bytes
    rest: bytes
    """Dots doubled, with the end of the data."""


class Connection:
    """One connection that was greeted; one mail at a time."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError, and ConnectionError when the server does not want us."""
        self.socket = socket.create_connection((host, port), timeout=SECONDS)
        # Two writes make one mail, and the second is not to wait until the first is acknowledged.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._replies: list[bytes] = []
        self._unsent: list[memoryview] = []
        self._sent = False
        self.letter: Letter | None = None
        self.began = 0.0
        for command in (b"", b"EHLO mx.sender.example\r\n"):
            self.socket.sendall(command)
            if not self._one_reply().startswith((b"220", b"250")):
                raise ConnectionError(f"refused: {self._replies[-1].decode()}")
        self._replies.clear()
        self.socket.setblocking(False)

    def _one_reply(self) -> bytes:
        before = len(self._replies)
        while len(self._replies) == before:
            self._take(self.socket.recv(CHUNK))
        return self._replies[-1]

    def _take(self, data: bytes) -> None:
        if not data:
            raise ConnectionError("the server closed the connection")
        *lines, self._received = (self._received + data).split(b"\r\n")
        self._replies += [line for line in lines if line[3:4] != b"-"]

    def begin(self, letter: Letter) -> None:
        """Send the commands of a mail."""
        self.letter, self.began = letter, time.perf_counter()
        self._replies.clear()
        self._sent = False
        self._unsent.append(memoryview(letter.commands))
        self.send()

    def send(self) -> bool:
        """Send what is taken now; True when nothing is left."""
        while self._unsent:
            with suppress(BlockingIOError):
                sent = self.socket.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    self._unsent.pop(0)
                continue
            return False
        return True

    def receive(self) -> bytes | None:
        """Take what came; the last reply to the mail, when it is there."""
        self._take(self.socket.recv(CHUNK))
        if self.letter is None or len(self._replies) < GROUP:
            return None
        if len(self._replies) > GROUP:
            return next((each for each in self._replies[: GROUP - 1] if not each.startswith(b"250")), self._replies[-1])
        if not self._replies[-1].startswith(b"354"):
            return next(each for each in self._replies if not each.startswith(b"250"))
        if not self._sent:
            self._sent = True
            self._unsent = [memoryview(each) for each in (self.letter.beginning, self.letter.rest) if each]
            self.send()
        return None

    @property
    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def close(self) -> None:
        """Say goodbye; a server that counts connections is to know at once."""
        self.socket.settimeout(SECONDS)
        with suppress(OSError):
            self.socket.sendall(b"QUIT\r\n")
            while self.socket.recv(CHUNK):
                pass
        self.socket.close()


@dataclass(slots=True)
class Outcome:
    """What one run gave."""

    latencies: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(connections: Sequence[Connection], letters: Iterator[Letter]) -> Outcome:
    """Send all mails; each connection begins its next one when it has its reply. Raises OSError."""
    outcome = Outcome()
    started = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for connection, letter in zip(connections, letters, strict=False):
            connection.begin(letter)
            selector.register(connection.socket, connection.events, connection)
        while selector.get_map():
            ready = selector.select(SECONDS)
            if not ready:
                raise TimeoutError("no connection got an answer")
            for key, events in ready:
                connection = key.data
                if events & selectors.EVENT_WRITE:
                    connection.send()
                reply = connection.receive() if events & selectors.EVENT_READ else None
                if reply is not None:
                    outcome.latencies.append(time.perf_counter() - connection.began)
                    if not reply.startswith(b"250"):
                        outcome.refused.append(reply.decode("latin-1"))
                    following = next(letters, None)
                    if following is None:
                        selector.unregister(connection.socket)
                        continue
                    connection.begin(following)
                if connection.events != key.events:
                    selector.modify(connection.socket, connection.events, connection)
    outcome.seconds = time.perf_counter() - started
    return outcome


def read_letters(path: Path, rest: Path) -> list[Letter]:
    """Mails of the two files."""
    entries, end = read_requests(path), rest.read_bytes()
    return [Letter(commands, begin, end) for commands, begin in zip(entries[::2], entries[1::2], strict=True)]


def main() -> None:
    """Obey commands until standard input ends."""
    letters: list[Letter] = []
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        if "letters" in command:
            letters = read_letters(Path(command["letters"]), Path(command["rest"]))
            _say({"letters": len(letters)})
            continue
        wanted = letters[command["start"] : command["start"] + command["count"]]
        connections = [Connection(command["host"], command["port"]) for _ in range(command["connections"])]
        _say({"ready": True})
        sys.stdin.readline()
        outcome = run(connections, iter(wanted))
        for connection in connections:
            connection.close()
        _say({"seconds": outcome.seconds, "latencies": outcome.latencies, "refused": outcome.refused})


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
