"""The load generator: reads answers to their end, sends every request once, tells what was refused."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.load import Answer, Client, connect, content_length, read_requests, run, run_paced, write_requests

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\n"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\nno"


@pytest.mark.parametrize("size", [1, 2, 7, len(HEAD), 1000])
def test_an_answer_in_pieces(size: int) -> None:
    whole = HEAD + b"hello"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    answer = Answer()
    assert [answer.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (answer.body, answer.good(b"hell"), answer.good(b"heaven")) == (5, True, False)


def test_a_long_answer_is_read_and_not_kept() -> None:
    answer = Answer()
    assert not answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    assert not answer.feed(b"x" * 999_999)
    assert answer.feed(b"x")
    assert len(answer.kept) < 10_000


def test_a_refusal_is_not_good() -> None:
    answer = Answer()
    assert answer.feed(REFUSAL)
    assert not answer.good(b"")


def test_an_answer_whose_end_is_not_known() -> None:
    with pytest.raises(ValueError, match="content-length"):
        content_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked")


def test_requests_come_back_as_they_were_written(tmp_path: Path) -> None:
    requests = [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 40]
    write_requests(requests, tmp_path / "requests")
    assert read_requests(tmp_path / "requests") == requests


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """Answers each line with its number, every third with a refusal, over connections that stay open."""
    numbers = iter(range(1, 1000))
    lock = threading.Lock()

    def serve(conn: socket.socket) -> None:
        with conn, conn.makefile("rb") as lines:
            for _ in lines:
                with lock:
                    number = next(numbers)
                body = b"%d" % number
                good = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
                conn.sendall(REFUSAL if number % 3 == 0 else good)

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[:2]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("number", [1, 4, 50])
def test_every_request_is_answered_once(server: tuple[str, int], number: int) -> None:
    clients: list[Client] = connect(*server, 4)
    outcome = run(clients, iter([b"question\n"] * number), b"")
    for client in clients:
        client.socket.close()
    assert len(outcome.latencies) == number
    assert len(outcome.refused) == number // 3
    assert all(refused.startswith("HTTP/1.1 429") for refused in outcome.refused)
    numbers = [n for n in range(1, number + 1) if n % 3]
    assert outcome.bytes == sum(len(str(n)) for n in numbers) + 2 * (number // 3)


@pytest.mark.parametrize("rate", [200.0, 1_000_000.0])
def test_requests_that_are_due_at_a_rate_are_answered_once(server: tuple[str, int], rate: float) -> None:
    """Whether the clients are quicker than that or not."""
    clients: list[Client] = connect(*server, 4)
    outcome = run_paced(clients, iter([b"question\n"] * 50), b"", rate)
    for client in clients:
        client.socket.close()
    assert len(outcome.latencies) == 50
    assert len(outcome.refused) == 50 // 3
    assert outcome.seconds >= 49 / rate
    # A request that had to wait for a client was due all the time.
    assert (max(outcome.latencies) > outcome.seconds / 2) or rate == 200.0
