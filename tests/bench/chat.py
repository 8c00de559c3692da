"""People of an XMPP server in a process of its own: one raw connection each, stanzas written by hand.

It reads commands, one JSON object a line, from standard input and answers each with one line:

``{"log_in": [[local part, password], ...], "domain", "port"}`` -> ``{"ready": true}``
``{"say": [JID, ...], "people": n, "start": i, "count": n, "window": n, "mailbox": path or null}``
    -> ``{"seconds", "latencies", "refused"}``: messages from the first people in turn to all the addresses in turn,
    so many of them in flight. One is over when its answer came: a receipt, or an echo with its id; with a mailbox,
    when one envelope more has been in this file. Refused are answers that are errors (the first three).
``{"hear": path, "host", "port", "start": i, "count": n, "window": n}`` -> the same: requests of a prepared file are
    posted (see load.py), and each is over when a message came out of the gateway at one of the people.
"""

from __future__ import annotations

import base64
import json
import re
import selectors
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.load import Client, connect, read_requests

HOST: Final = "127.0.0.1"
CHUNK: Final = 1 << 16
SECONDS: Final = 60.0
"""Longest silence."""
LOOK_SECONDS: Final = 0.0005
"""Between two looks into a mailbox."""
TEXT: Final = "A message of about the length that people write when they have something to say."
END: Final = b"</message>"
ANSWER: Final = re.compile(rb"\bid=['\"]m(\d+)['\"]")
OF_GATEWAY: Final = re.compile(rb"\bid=['\"]dm3-(?!first-)")
"""A message that somebody wrote; the first one to somebody is preceded by a word of the gateway's own."""
ERROR: Final = re.compile(rb"\btype=['\"]error['\"]")


@dataclass(slots=True)
class Human:
    """One connection, logged in."""

    socket: socket.socket
    unread: bytes = b""

    @classmethod
    def log_in(cls, domain: str, port: int, name: str, password: str) -> Human:
        """RFC 6120 in the shortest way: SASL PLAIN without TLS, one resource, available; ConnectionError if refused."""
        human = cls(socket.create_connection((HOST, port), timeout=SECONDS))
        human.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (
            f"<stream:stream to='{domain}' version='1.0' xmlns='jabber:client'"
            " xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        human._exchange(head, b"</stream:features>")
        human._exchange(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>", b"<success"
        )
        human._exchange(head, b"</stream:features>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind>"
        human._exchange(f"<iq type='set' id='bind'>{bind}</iq>", b"</iq>")
        human.socket.sendall(b"<presence/>")
        return human

    def _exchange(self, said: str, until: bytes) -> None:
        self.socket.sendall(said.encode())
        heard = b""
        while until not in heard:
            if not (data := self.socket.recv(CHUNK)) or b"<failure" in heard:
                raise ConnectionError(f"the server refused: {(heard + data).decode(errors='replace')}")
            heard += data

    def say(self, to: str, number: int) -> None:
        """A message that asks for a receipt."""
        body = f"<body>{number}: {TEXT}</body><request xmlns='urn:xmpp:receipts'/>"
        self.socket.sendall(f"<message to='{to}' type='chat' id='m{number}'>{body}</message>".encode())

    def messages(self) -> list[bytes]:
        """Whole messages that came; ConnectionError when the server closed."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection")
        *whole, self.unread = (self.unread + data).split(END)
        return whole


@dataclass(slots=True)
class Outcome:
    """What one run gave."""

    latencies: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Talk:
    """All people of this process."""

    def __init__(self, people: Sequence[Human]) -> None:
        self._people = people
        self._selector = selectors.DefaultSelector()
        for human in people:
            self._selector.register(human.socket, selectors.EVENT_READ, human)

    def say(self, to: Sequence[str], people: int, numbers: range, window: int) -> Outcome:
        """Messages until each has its answer."""
        outcome, sent, waiting = Outcome(), dict[int, float](), iter(numbers)
        started = time.perf_counter()

        def next_one() -> None:
            number = next(waiting, None)
            if number is not None:
                sent[number] = time.perf_counter()
                self._say(to, people, number)

        for _ in range(window):
            next_one()
        while sent:
            for message in self._heard(SECONDS):
                found = ANSWER.search(message)
                at = sent.pop(int(found[1]), None) if found is not None else None
                if at is None:
                    continue
                outcome.latencies.append(time.perf_counter() - at)
                if ERROR.search(message):
                    outcome.refused.append(message.decode(errors="replace"))
                next_one()
        outcome.seconds = time.perf_counter() - started
        return outcome

    def say_through(self, to: Sequence[str], people: int, numbers: range, mailbox: Path) -> Outcome:
        """One message after the other, until each is an envelope."""
        outcome = Outcome()
        started = time.perf_counter()
        with closing(sqlite3.connect(f"file:{mailbox}?mode=ro", uri=True, isolation_level=None)) as store:
            for number in numbers:
                before, at = _last_envelope(store), time.perf_counter()
                self._say(to, people, number)
                while _last_envelope(store) == before:
                    if time.perf_counter() - at > SECONDS:
                        raise TimeoutError(f"message {number} did not arrive")
                    outcome.refused += [each.decode() for each in self._heard(LOOK_SECONDS) if ERROR.search(each)]
                outcome.latencies.append(time.perf_counter() - at)
        outcome.seconds = time.perf_counter() - started
        return outcome

    def hear(self, clients: Sequence[Client], requests: Iterator[bytes], count: int) -> Outcome:
        """Requests posted until so many messages came; latencies only tell something for one client."""
        outcome, posted, posted_at = Outcome(), 0, 0.0
        started = time.perf_counter()
        free = list(clients)
        for client in clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)
        while len(outcome.latencies) < count:
            while free and posted < min(count, len(outcome.latencies) + len(clients)):
                posted, posted_at = posted + 1, time.perf_counter()
                free.pop().ask(next(requests))
            for key, _ in self._ready(SECONDS):
                if isinstance(key.data, Client):
                    if key.data.read():
                        if not key.data.answer.good(b'"result"'):
                            outcome.refused.append(key.data.answer.kept.decode("latin-1"))
                        free.append(key.data)
                    continue
                for message in key.data.messages():
                    if OF_GATEWAY.search(message):
                        outcome.latencies.append(time.perf_counter() - posted_at)
        for client in clients:
            self._selector.unregister(client.socket)
        outcome.seconds = time.perf_counter() - started
        return outcome

    def _say(self, to: Sequence[str], people: int, number: int) -> None:
        """From everybody to everybody in turn."""
        turn, who = divmod(number, people)
        self._people[who].say(to[(turn + who) % len(to)], number)

    def _heard(self, seconds: float) -> list[bytes]:
        return [message for key, _ in self._ready(seconds) for message in key.data.messages()]

    def _ready(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._selector.select(seconds)
        if not ready and seconds == SECONDS:
            raise TimeoutError(f"nothing came for {seconds} s")
        return ready


def _last_envelope(store: sqlite3.Connection) -> int:
    """Its number, which is never given twice."""
    return int(store.execute("SELECT coalesce(max(seq), 0) FROM envelopes").fetchone()[0])


def main() -> None:
    """Obey commands until standard input ends."""
    talk = Talk(())
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        if "log_in" in command:
            who = command["log_in"]
            talk = Talk([Human.log_in(command["domain"], command["port"], *each) for each in who])
            print(json.dumps({"ready": True}), flush=True)
            continue
        numbers = range(command["start"], command["start"] + command["count"])
        if "hear" in command:
            requests = read_requests(Path(command["hear"]))[numbers.start : numbers.stop]
            clients = connect(command["host"], command["port"], command["window"])
            outcome = talk.hear(clients, iter(requests), command["count"])
            for client in clients:
                client.socket.close()
        elif command["mailbox"] is not None:
            outcome = talk.say_through(command["say"], command["people"], numbers, Path(command["mailbox"]))
        else:
            outcome = talk.say(command["say"], command["people"], numbers, command["window"])
        answer = {"seconds": outcome.seconds, "latencies": outcome.latencies, "refused": outcome.refused[:3]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
