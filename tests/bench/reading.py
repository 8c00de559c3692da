"""The floor under pick-up and acknowledgement: the same rows read by the sqlite3 module, and sent nowhere.

A process of its own: reads a line ``{"file", "recipient"}`` and then, for each line ``{"limit"}`` or ``{"hashes"}``,
the oldest envelopes of the recipient or those with these message hashes, and answers with the CPU seconds it took.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any, Final

OLDEST: Final = "SELECT * FROM envelopes WHERE recipient = ? AND folder = 'inbox' ORDER BY seq LIMIT ?"
NAMED: Final = "SELECT * FROM envelopes WHERE recipient = ? AND message_hash IN ({})"


def read(conn: sqlite3.Connection, recipient: str, wanted: dict[str, Any]) -> int:
    """How many bytes the bodies had."""
    if "limit" in wanted:
        rows = conn.execute(OLDEST, (recipient, wanted["limit"]))
    else:
        hashes = wanted["hashes"]
        rows = conn.execute(NAMED.format(", ".join("?" * len(hashes))), (recipient, *hashes))
    rows.row_factory = sqlite3.Row
    return sum(len(row["body"]) for row in rows.fetchall())


def main() -> None:
    """Obey standard input."""
    given = json.loads(sys.stdin.readline())
    with closing(sqlite3.connect(f"file:{given['file']}?mode=ro", uri=True, isolation_level=None)) as conn:
        for line in sys.stdin:
            wanted = json.loads(line)
            began = time.process_time()
            if not read(conn, given["recipient"], wanted):
                raise LookupError("there is nothing of what should be read")
            print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
