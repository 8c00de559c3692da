"""People with XMPP clients: every message is sent once and over with its answer; what is refused is told."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.bench.chat import Human, Talk

MESSAGE = re.compile(rb"<message to='([^']+)' type='chat' id='(m\d+)'>.*?</message>")
TO = ("alice@dm3.localhost", "bob@dm3.localhost")

Answer = Callable[[bytes, bytes], bytes]


def receipt(to: bytes, own: bytes) -> bytes:
    return b"<message from='%s' id='r-%s'><received xmlns='urn:xmpp:receipts' id='%s'/></message>" % (to, own, own)


def echo(to: bytes, own: bytes) -> bytes:
    return b'<presence from="x"/><message from="%s" id="%s"><body>m0</body></message>' % (to, own)


def error(to: bytes, own: bytes) -> bytes:
    return b"<message from='%s' type='error' id='%s'><error/></message>" % (to, own)


def leave(_to: bytes, _own: bytes) -> bytes:
    return b""


class Far:
    """The other end of a few connections: answers in pieces, and keeps who was written to, by connection."""

    def __init__(self, number: int) -> None:
        self.heard: list[list[bytes]] = [[] for _ in range(number)]
        pairs = [socket.socketpair() for _ in range(number)]
        self.humans = [Human(near) for near, _ in pairs]
        self._far = [far for _, far in pairs]
        self.answer: Answer = receipt
        self._threads = [threading.Thread(target=self._until_closed, args=(place,)) for place in range(number)]
        for thread in self._threads:
            thread.start()

    def _until_closed(self, place: int) -> None:
        # Nobody waits for the last answers.
        with suppress(ConnectionError):
            self._serve(place)

    def _serve(self, place: int) -> None:
        unread = b""
        while data := self._far[place].recv(4096):
            unread += data
            while found := MESSAGE.search(unread):
                unread = unread[found.end() :]
                self.heard[place].append(found[1])
                answer = self.answer(found[1], found[2])
                if not answer:
                    self._far[place].shutdown(socket.SHUT_WR)
                self._far[place].sendall(answer[:7])
                self._far[place].sendall(answer[7:])

    def close(self) -> None:
        for human in self.humans:
            human.socket.close()
        for thread, conn in zip(self._threads, self._far, strict=True):
            thread.join()
            conn.close()


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far(3)
    yield made
    made.close()


@pytest.mark.parametrize("answer", [receipt, echo])
@pytest.mark.parametrize("window", [1, 5, 100])
def test_every_message_has_its_answer(far: Far, answer: Answer, window: int) -> None:
    far.answer = answer
    outcome = Talk(far.humans).say(TO, 3, range(40, 52), window)
    assert len(outcome.latencies) == 12
    assert outcome.refused == []
    # From everybody to everybody.
    assert [sorted(each) for each in far.heard] == [sorted(name.encode() for name in TO * 2)] * 3


def test_one_conversation(far: Far) -> None:
    Talk(far.humans).say(TO[:1], 1, range(4), 2)
    assert far.heard == [[TO[0].encode()] * 4, [], []]


def test_errors_are_refusals(far: Far) -> None:
    far.answer = error
    outcome = Talk(far.humans).say(TO, 3, range(3), 3)
    assert len(outcome.refused) == 3


def test_until_an_envelope_is_in_the_mailbox(far: Far, tmp_path: Path) -> None:
    def write(statement: str) -> None:
        with closing(sqlite3.connect(tmp_path / "store", isolation_level=None)) as conn:
            conn.execute(statement)

    def deliver(to: bytes, own: bytes) -> bytes:
        write("INSERT INTO envelopes DEFAULT VALUES")
        return receipt(to, own)

    write("CREATE TABLE envelopes (seq INTEGER PRIMARY KEY)")

    far.answer = deliver
    assert len(Talk(far.humans).say_through(TO, 3, range(5), tmp_path / "store").latencies) == 5


def test_a_server_that_leaves(far: Far) -> None:
    far.answer = leave
    with pytest.raises(ConnectionError):
        Talk(far.humans[:1]).say(TO, 1, range(1), 1)
