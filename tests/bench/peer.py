"""The peer beside transactions of a homeserver: mautrix-python's application service, whose handler only counts.

A process of its own, on uvloop as the gateway is: reads a line ``{"port", "token", "folder"}``, says
``{"ready": true}`` when it answers, and for each further line how many events it has handled so far.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Any, Final

import uvloop

NAME: Final = "mautrix"
HOST: Final = "127.0.0.1"


def installed() -> bool:
    """Whether this environment has it: deploy/bench.sh brings it, the tests do without."""
    return importlib.util.find_spec(NAME) is not None


async def serve(port: int, token: str, folder: Path) -> None:
    """Obey standard input."""
    # Not imported by name: types are not checked against a package that need not be there.
    appservice: Any = importlib.import_module(f"{NAME}.appservice")
    store: Any = importlib.import_module(f"{NAME}.appservice.state_store")
    service = appservice.AppService(
        server="http://127.0.0.1:1",
        domain="localhost",
        as_token="as",
        hs_token=token,
        bot_localpart="bot",
        id="bench",
        loop=asyncio.get_running_loop(),
        state_store=store.FileASStateStore(path=str(folder / "mautrix.json"), binary=False),
        # The default refuses what Synapse may send.
        aiohttp_params={"client_max_size": 32 * 2**20},
    )
    handled = 0

    async def count(_event: object) -> None:
        nonlocal handled
        handled += 1

    service.matrix_event_handler(count)
    await service.start(HOST, port)
    print(json.dumps({"ready": True}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(handled, flush=True)
    await service.stop()


def main() -> None:
    """Run until standard input ends."""
    logging.basicConfig(level=logging.ERROR)
    given = json.loads(sys.stdin.readline())
    uvloop.run(serve(given["port"], given["token"], Path(given["folder"])))


if __name__ == "__main__":
    main()
