"""The chain's servers, asked one by one and directly: what each of them says for itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.dm3.canonical import Json, parse_object
from gateway.dm3.encoding import to_hex
from gateway.ens.egress import GuardedClient
from gateway.errors import ChainUnavailable, GatewayError, InvalidInput
from gateway.ids import EthAddress

MAX_ANSWER: Final = 4 * 2**20
"""Bytes; a block may have thousands of transactions."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, and when by its own clock (seconds since 1970, None when it does not tell)."""

    result: Any
    server_time: float | None
    asked_at: float
    """By our clock, in the middle between question and answer."""


@dataclass(frozen=True, slots=True)
class Head:
    """A server's newest block. Times are in seconds since 1970."""

    number: int
    time: int
    answer: Answer


def host_of(url: str) -> str:
    """What may be shown: paths and queries of such URLs hold access keys."""
    return urlsplit(url).hostname or "?"


async def ask(client: GuardedClient, url: str, method: str, *params: Json) -> Answer:
    """One call. Raises ChainUnavailable without an answer, InvalidInput for an error."""
    question: Json = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    started = time.time()
    try:
        fetched = await client.post_json(url, question, max_bytes=MAX_ANSWER)
        said = parse_object(fetched.body, max_bytes=MAX_ANSWER, max_depth=16, max_items=1_000_000)
    except GatewayError as error:
        raise ChainUnavailable(f"{host_of(url)} gives no answer ({type(error).__name__})") from None
    if "result" not in said:
        raise InvalidInput(f"{host_of(url)} refuses {method}")
    return Answer(said["result"], _date(fetched.headers.get("date")), (started + time.time()) / 2)


async def head(client: GuardedClient, url: str, block: str = "latest") -> Head:
    """The newest block by a tag; raises as `ask`."""
    answer = await ask(client, url, "eth_getBlockByNumber", block, False)
    try:
        return Head(int(answer.result["number"], 16), int(answer.result["timestamp"], 16), answer)
    except (TypeError, KeyError, ValueError):
        raise InvalidInput(f"{host_of(url)} has no block by the tag {block}") from None


async def block_hash(client: GuardedClient, url: str, number: int) -> str | None:
    """The hash of a block that a server may not have any more, or not yet; raises as `ask`."""
    answer = await ask(client, url, "eth_getBlockByNumber", hex(number), False)
    found = answer.result.get("hash") if isinstance(answer.result, dict) else None
    return found if isinstance(found, str) else None


async def call(client: GuardedClient, url: str, to: EthAddress, data: bytes) -> bytes:
    """Return data of a read-only call; raises as `ask`, also when the contract refuses it."""
    answer = await ask(client, url, "eth_call", {"to": to, "data": to_hex(data)}, "latest")
    try:
        return bytes.fromhex(str(answer.result).removeprefix("0x"))
    except ValueError:
        raise InvalidInput(f"{host_of(url)} answers eth_call with no data") from None


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
