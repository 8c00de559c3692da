"""A load generator in a process of its own: prepared requests, raw sockets, each client waits for its answer.

It reads commands, one JSON object a line, from standard input and answers each with one line:

``{"load": path}``                                     -> ``{"requests": how many the file holds}``
``{"clients": n, "start": i, "count": n, "expect": t}`` -> ``{"ready": true}`` once n connections are open; then, after
any further line, the requests are sent and the answer is ``{"seconds", "latencies", "bytes", "refused"}``: wall clock
of the whole, of each request in the order of the answers, bytes of all bodies, answers that were not 200 or did not
hold the text ``expect`` (the first three of them). With ``"rate": n`` requests are due at so many a second, whatever
the server does, and a latency is from when its request was due.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LENGTH: Final = struct.Struct("<I")
CHUNK: Final = 1 << 18
KEPT: Final = 4096
"""Bytes of an answer that are looked at."""


def write_requests(requests: Sequence[bytes], path: Path) -> None:
    """The file of prepared requests: each with its length in front."""
    with path.open("wb") as file:
        for request in requests:
            file.write(LENGTH.pack(len(request)))
            file.write(request)


def read_requests(path: Path) -> list[bytes]:
    """What write_requests wrote."""
    content, requests, position = path.read_bytes(), [], 0
    while position < len(content):
        (size,) = LENGTH.unpack_from(content, position)
        position += LENGTH.size
        requests.append(content[position : position + size])
        position += size
    return requests


@dataclass(slots=True)
class Answer:
    """One HTTP/1.1 answer with a content-length, as it comes in."""

    kept: bytes = b""
    received: int = 0
    expected: int | None = None
    """Bytes of head and body together, once the head is there."""
    body: int = 0

    def feed(self, data: bytes) -> bool:
        """Take what was read; True when the answer is complete."""
        self.received += len(data)
        if len(self.kept) < KEPT:
            self.kept = (self.kept + data)[:KEPT]
        if self.expected is None:
            head, found, _ = self.kept.partition(b"\r\n\r\n")
            if not found:
                return False
            self.body = content_length(head)
            self.expected = len(head) + 4 + self.body
        return self.received >= self.expected

    def good(self, expect: bytes) -> bool:
        """200 with ``expect`` in its beginning."""
        return self.kept.startswith(b"HTTP/1.1 200") and expect in self.kept


def content_length(head: bytes) -> int:
    """Of the head of an answer; raises ValueError when there is none, because then its end is not known."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without content-length")


@dataclass(slots=True)
class Client:
    """One connection, with at most one request under way."""

    socket: socket.socket
    sent_at: float = 0.0
    answer: Answer = field(default_factory=Answer)

    def ask(self, request: bytes) -> None:
        self.answer = Answer()
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection")
        return self.answer.feed(data)


@dataclass(slots=True)
class Outcome:
    """What one run of requests gave."""

    latencies: list[float] = field(default_factory=list)
    bytes: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0


def connect(host: str, port: int, clients: int) -> list[Client]:
    """Open connections; raises OSError."""
    return [Client(socket.create_connection((host, port), timeout=60)) for _ in range(clients)]


def run(clients: Sequence[Client], requests: Iterator[bytes], expect: bytes) -> Outcome:
    """Send all requests; each client sends its next one when it has its answer."""
    outcome = Outcome()
    started = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        busy = 0
        for client in clients:
            request = next(requests, None)
            if request is not None:
                selector.register(client.socket, selectors.EVENT_READ, client)
                client.ask(request)
                busy += 1
        while busy:
            for key, _ in selector.select():
                client = key.data
                if not client.read():
                    continue
                _note(client, outcome, expect)
                request = next(requests, None)
                if request is None:
                    busy -= 1
                else:
                    client.ask(request)
    outcome.seconds = time.perf_counter() - started
    return outcome


def run_paced(clients: Sequence[Client], requests: Iterator[bytes], expect: bytes, rate: float) -> Outcome:
    """Send each request when it is due, or as soon as a client is free; they are due at equal distances."""
    outcome = Outcome()
    started = due = time.perf_counter()
    free = list(clients)
    request = next(requests, None)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while request is not None or len(free) < len(clients):
            while request is not None and free and due <= time.perf_counter():
                client = free.pop()
                client.ask(request)
                client.sent_at = due
                due += 1 / rate
                request = next(requests, None)
            waits = request is not None and free
            for key, _ in selector.select(max(0.0, due - time.perf_counter()) if waits else None):
                client = key.data
                if client.read():
                    _note(client, outcome, expect)
                    free.append(client)
    outcome.seconds = time.perf_counter() - started
    return outcome


def _note(client: Client, outcome: Outcome, expect: bytes) -> None:
    """A whole answer."""
    outcome.latencies.append(time.perf_counter() - client.sent_at)
    outcome.bytes += client.answer.body
    if not client.answer.good(expect):
        outcome.refused.append(client.answer.kept[:500].decode("latin-1"))


def main(host: str, port: int) -> None:
    """Obey commands until standard input ends."""
    requests: list[bytes] = []
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        if "load" in command:
            requests = read_requests(Path(command["load"]))
            _say({"requests": len(requests)})
            continue
        clients = connect(host, port, command["clients"])
        _say({"ready": True})
        sys.stdin.readline()
        wanted = iter(requests[command["start"] : command["start"] + command["count"]])
        expect = command["expect"].encode()
        if "rate" in command:
            outcome = run_paced(clients, wanted, expect, command["rate"])
        else:
            outcome = run(clients, wanted, expect)
        for client in clients:
            client.socket.close()
        _say(
            {
                "seconds": outcome.seconds,
                "latencies": outcome.latencies,
                "bytes": outcome.bytes,
                "refused": outcome.refused[:3],
            }
        )


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
