"""From adapter to adapter: a mail that comes out as an XMPP message, with a real Prosody; whole, and in its parts."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.demo.prosody import MISSING, find_prosody
from gateway.store.engine import sqlite_path
from tests.bench import mail, xmpp
from tests.bench.machine import LOAD_CORE
from tests.bench.mail import Post
from tests.bench.processes import LineProcess, line_process, serving
from tests.bench.results import Figure
from tests.bench.scale import Scale
from tests.bench.world import HOST, World, founded
from tests.integration.email.peers import Zone, dns_server

P50_MS: Final = 60.0
PERSON: Final = "reader"
LINK_SECONDS: Final = 30.0
PARTS: Final = {
    "accepted": "mail, until the 250",
    "made": "then, until the envelope",
    "shown": "then, until the client",
}

Round = Mapping[str, Sequence[float]]


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """One person writes mail after mail to another, each when the one before is done. Without Prosody no figures."""
    if find_prosody() is None:
        print(MISSING, file=sys.stderr)
        return []
    zone, server, port = Zone(), xmpp.server(folder / "prosody"), mail.free_port(HOST)
    await server.register(PERSON, xmpp.PASSWORD)
    async with server, dns_server(zone) as names:
        adapters = {"email": mail.adapter_table(port, names), "xmpp": xmpp.adapter_table(server)}
        async with founded(folder, senders=0, recipients=0, adapters=adapters) as world:
            post = await asyncio.to_thread(Post, 1, [xmpp.name_of(PERSON)])
            zone.records = post.records
            number = (scale.rounds + 1) * scale.crossings
            letters, rest = post.write([mail.text_mail()], number, folder, "bridge")
            async with (
                serving(world.config, world.url),
                line_process("tests.bench.crossing", LOAD_CORE) as process,
            ):
                given = {"smtp": [HOST, port], "letters": str(letters), "rest": str(rest)}
                await process.ask(json.dumps(given | _client(world, server)))
                rounds = [await _round(process, index, scale) for index in range(scale.rounds + 1)]
    return _figures(rounds[1:])  # the first one warms up


def _client(world: World, server: xmpp.Server) -> dict[str, Any]:
    return {
        "domain": xmpp.DOMAIN,
        "port": server.c2s_port,
        "log_in": [PERSON, xmpp.PASSWORD],
        "store": sqlite_path(world.settings.store.url),
    }


async def _round(process: LineProcess, index: int, scale: Scale) -> Round:
    command = {"start": index * scale.crossings, "count": scale.crossings}
    answer: dict[str, list[float]] = await process.ask(json.dumps(command))
    if answer["refused"]:
        raise RuntimeError(f"a mail was refused: {answer['refused'][0]}")
    return answer


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    row = "mail to an XMPP client"
    parts = [
        Figure(row, quantity, "ms", tuple(1e3 * statistics.median(each[part]) for each in rounds))
        for part, quantity in PARTS.items()
    ]
    whole = tuple(
        1e3 * statistics.median(map(sum, zip(*(each[part] for part in PARTS), strict=True))) for each in rounds
    )
    return [
        Figure(row, "latency p50", "ms", whole, P50_MS, note="one in flight"),
        *parts,
        Figure(row, "sum of the parts", "ms", tuple(map(sum, zip(*(each.rounds for each in parts), strict=True)))),
    ]
