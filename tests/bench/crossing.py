"""Somebody who writes a mail and somebody at an XMPP client who gets it, in one process, so that one clock sees both.

It reads a line ``{"smtp": [host, port], "letters": path, "rest": path, "domain", "port", "log_in": [local part,
password], "store": path}`` and says ``{"ready": true}``. For each further line ``{"start", "count"}`` it sends so many
of the prepared mails (see smtp_load.py), one after the other, and answers ``{"accepted", "made", "shown", "refused"}``:
seconds from MAIL to the last reply, from there until the envelope is in the store, and from there until the client has
the message; and the replies that refused a mail (the first three).
"""

from __future__ import annotations

import json
import selectors
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.chat import LOOK_SECONDS, OF_GATEWAY, SECONDS, Human
from tests.bench.smtp_load import Connection, Letter, read_letters

# The last number that an envelope got: it is not there any more when the message was delivered.
LAST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'envelopes'), 0)"
BUSY: Final = "SELECT EXISTS (SELECT 1 FROM jobs)"


@dataclass(slots=True)
class Outcome:
    """Seconds of each mail, by part."""

    accepted: list[float] = field(default_factory=list)
    made: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Crossing:
    """The way of one mail at a time."""

    def __init__(self, connection: Connection, human: Human, store: sqlite3.Connection) -> None:
        self._connection = connection
        self._human = human
        self._store = store
        self._selector = selectors.DefaultSelector()
        self._selector.register(human.socket, selectors.EVENT_READ, human)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def send(self, letters: Sequence[Letter]) -> Outcome:
        """Each when nothing is left to do for the one before; raises TimeoutError when one does not arrive."""
        outcome = Outcome()
        for letter in letters:
            self._until_idle()
            self._one(letter, outcome)
        self._until_idle()
        return outcome

    def _one(self, letter: Letter, outcome: Outcome) -> None:
        before = self._number(LAST)
        accepted = made = shown = 0.0
        self._connection.begin(letter)
        began = self._connection.began
        while not (accepted and shown):
            if time.perf_counter() - began > SECONDS:
                raise TimeoutError("a mail did not come out as a message")
            for key, _ in self._selector.select(LOOK_SECONDS):
                if key.data is self._connection:
                    if (reply := self._connection.receive()) is not None:
                        accepted = time.perf_counter()
                        if not reply.startswith(b"250"):
                            outcome.refused.append(reply.decode("latin-1"))
                            return
                elif any(OF_GATEWAY.search(message) for message in self._human.messages()):
                    shown = time.perf_counter()
            if not made and self._number(LAST) > before:
                made = time.perf_counter()
        # What is quicker than the look for it took no time.
        made = min(max(made or shown, accepted), shown)
        outcome.accepted.append(accepted - began)
        outcome.made.append(made - accepted)
        outcome.shown.append(shown - made)

    def _until_idle(self) -> None:
        began = time.perf_counter()
        while self._number(BUSY):
            if time.perf_counter() - began > SECONDS:
                raise TimeoutError("the queue does not run empty")
            time.sleep(10 * LOOK_SECONDS)

    def _number(self, query: str) -> int:
        return int(self._store.execute(query).fetchone()[0])


def main() -> None:
    """Obey commands until standard input ends."""
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    letters = read_letters(Path(given["letters"]), Path(given["rest"]))
    human = Human.log_in(given["domain"], given["port"], *given["log_in"])
    connection = Connection(*given["smtp"])
    with closing(sqlite3.connect(f"file:{given['store']}?mode=ro", uri=True, isolation_level=None)) as store:
        crossing = Crossing(connection, human, store)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            outcome = crossing.send(letters[command["start"] :][: command["count"]])
            parts = {"accepted": outcome.accepted, "made": outcome.made, "shown": outcome.shown}
            print(json.dumps(parts | {"refused": outcome.refused[:3]}), flush=True)
    connection.close()


if __name__ == "__main__":
    main()
