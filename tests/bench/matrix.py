"""The Matrix side of a world: the adapter's table and tokens, and what a homeserver pushes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench.people import http_request

SERVER_NAME: Final = "localhost"
TRANSACTION_EVENTS: Final = 100
"""As many as Synapse puts into one transaction at most."""
ROOMS: Final = tuple(f"!room{number}:{SERVER_NAME}" for number in range(4))
WORDS: Final = "Somebody says something in a room. "
UNLIMITED: Final = {"messages_per_minute": 1_000_000, "new_chats_per_hour": 1_000_000}
"""All messages have one sender here."""


def adapter_table(folder: Path, homeserver_url: str) -> tuple[dict[str, Any], str]:
    """The table ``[adapters.matrix]``, with fresh tokens in files of ``folder``, and the homeserver's token."""
    tokens = {name: secrets.token_hex(32) for name in ("as", "hs")}
    for name, token in tokens.items():
        (folder / f"{name}.token").write_text(token, encoding="ascii")
    table = {
        "homeserver_url": homeserver_url,
        "server_name": SERVER_NAME,
        "as_token_file": str(folder / "as.token"),
        "hs_token_file": str(folder / "hs.token"),
        **UNLIMITED,
    }
    return table, tokens["hs"]


def transactions(number: int, token: str, host: str) -> list[bytes]:
    """HTTP requests with 100 messages each, in turn from the rooms; every event has an id of its own."""
    requests = []
    for txn in range(number):
        first = txn * TRANSACTION_EVENTS
        events = [_event(first + place) for place in range(TRANSACTION_EVENTS)]
        # As Synapse writes it: its JSON has no blanks, and says whatever is not ASCII as it is.
        body = json.dumps({"events": events}, separators=(",", ":"), ensure_ascii=False).encode()
        requests.append(http_request("PUT", f"/_matrix/app/v1/transactions/{txn + 1}", host, body, token))
    return requests


def _event(number: int) -> Mapping[str, Any]:
    """Like one that Synapse pushes; about 500 bytes."""
    return {
        "type": "m.room.message",
        "room_id": ROOMS[number % len(ROOMS)],
        "sender": f"@somebody{number % 10}:{SERVER_NAME}",
        "content": {"msgtype": "m.text", "body": f"{number}: {WORDS * 5}", "m.mentions": {}},
        "origin_server_ts": 1_727_000_000_000 + number,
        "unsigned": {"age": 42, "membership": "join"},
        "event_id": f"$event{number:_>38}",
        "user_id": f"@somebody{number % 10}:{SERVER_NAME}",
        "age": 42,
    }
