"""The peer beside XMPP messages: a component made with slixmpp alone that sends every message back and keeps nothing.

A process of its own, on uvloop as the gateway is: reads a line ``{"domain", "secret", "host", "port"}`` and says
``{"ready": true}`` when it is connected. It loads no plugins: with 35 of them slixmpp takes four times as long.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import uvloop
from slixmpp import ComponentXMPP
from slixmpp.stanza import Message


class Echo(ComponentXMPP):
    """Answers with the same words and the same id."""

    def __init__(self, domain: str, secret: str, host: str, port: int) -> None:
        super().__init__(domain, secret, host, port)  # type: ignore[no-untyped-call]
        self.enable_direct_tls = False
        self.add_event_handler("message", self._answer)

    def _answer(self, message: Message) -> None:
        answer = message.reply(message["body"])  # type: ignore[no-untyped-call]
        answer["id"] = message["id"]
        answer.send()


async def serve(domain: str, secret: str, host: str, port: int) -> None:
    """Until standard input ends."""
    echo = Echo(domain, secret, host, port)
    echo.connect()
    await echo.wait_until("session_start")
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    echo.abort()


def main() -> None:
    """Read what to connect to."""
    logging.basicConfig(level=logging.ERROR)
    given = json.loads(sys.stdin.readline())
    uvloop.run(serve(given["domain"], given["secret"], given["host"], given["port"]))


if __name__ == "__main__":
    main()
