"""The floor under envelopes on PostgreSQL: the same rows once more, inserted by asyncpg alone in the same batches.

A process of its own: reads a line ``{"url"}`` and then obeys one word a line. ``insert`` copies the envelopes that came
since the last word into a table like theirs, those of one transaction in one, on two connections as a node has them;
``skip`` only passes them by. Answers ``{"rows", "batches", "seconds", "cpu"}``: of the inserts, CPU of this process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

CONNECTIONS: Final = 2
"""As many as commit at the same time in one node (`PostgresEngine.flushers`)."""
TABLE: Final = "CREATE TABLE copies (LIKE envelopes INCLUDING ALL)"
# The id of the transaction that wrote a row says which rows were committed together.
CAME: Final = "SELECT xmin::text AS transaction, * FROM envelopes WHERE seq > $1 ORDER BY seq"
NOT_COPIED: Final = ("transaction", "seq")

Batch = Sequence[tuple[Any, ...]]


class Floor:
    """Envelopes of a database, as far as they were looked at."""

    def __init__(self, connections: Sequence[Any]) -> None:
        self._connections = connections
        self._seen = 0

    async def skip(self) -> dict[str, float]:
        """Whatever came does not count."""
        self._seen = await self._connections[0].fetchval("SELECT coalesce(max(seq), 0) FROM envelopes")
        return {"rows": 0, "batches": 0, "seconds": 0.0, "cpu": 0.0}

    async def insert(self) -> dict[str, float]:
        """Read first; only the inserts are timed."""
        statement, batches = await self._came()
        rows = sum(map(len, batches))
        waiting = iter(batches)

        async def work(connection: Any) -> None:
            for batch in waiting:
                await connection.executemany(statement, batch)

        started, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(work, self._connections))
        spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
        await self._connections[0].execute("TRUNCATE copies")
        return {"rows": rows, "batches": len(batches), **spent}

    async def _came(self) -> tuple[str, list[Batch]]:
        found = await self._connections[0].fetch(CAME, self._seen)
        columns = [column for column in found[0].keys() if column not in NOT_COPIED]  # noqa: SIM118 - asyncpg's Record
        together: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in found:
            together[row["transaction"]].append(tuple(row[column] for column in columns))
        self._seen = found[-1]["seq"]
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        return f"INSERT INTO copies ({', '.join(columns)}) VALUES ({places})", list(together.values())


async def serve(url: str) -> None:
    """Until standard input ends."""
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    await connections[0].execute(TABLE)
    floor = Floor(connections)
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(await (floor.insert() if word == "insert" else floor.skip())), flush=True)
    for connection in connections:
        await connection.close()


def main() -> None:
    """Read what to connect to."""
    asyncio.run(serve(json.loads(sys.stdin.readline())["url"]))


if __name__ == "__main__":
    main()
