"""JSON-RPC endpoints that answer by a table, to provoke what a real chain does not do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx2

from gateway.ens.chain import Chain, _Web3Wire
from tests.integration.ens.servers import Asked, Script, response

Alter: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""Makes of a request and its honest reply the reply that is sent."""


def rpc(**replies: object) -> Script:
    """An endpoint of chain 31337 with fixed replies by method; a dict stands for the whole reply.

    Takes batches; a callable is given the parameters.
    """

    def reply_to(request: dict[str, Any]) -> dict[str, Any]:
        reply: Any = {"eth_chainId": "0x7a69", **replies}.get(request["method"])
        if callable(reply):
            reply = reply(request["params"])
        body = reply if isinstance(reply, dict) and not _is_block(reply) else {"result": reply}
        return {"jsonrpc": "2.0", "id": request["id"], **body}

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        request = json.loads(asked.body)
        body = list(map(reply_to, request)) if isinstance(request, list) else reply_to(request)
        writer.write(response(200, json.dumps(body).encode()))

    return script


def forwarding(url: str, alter: Alter = lambda _request, reply: reply) -> Script:
    """An endpoint that asks another one, and may not tell the truth."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        request = json.loads(asked.body)
        async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
            reply = (await client.post(url, content=asked.body, headers={"content-type": "application/json"})).json()
        told = list(map(alter, request, reply)) if isinstance(request, list) else alter(request, reply)
        writer.write(response(200, json.dumps(told).encode()))

    return script


def _is_block(reply: dict[str, Any]) -> bool:
    return "number" in reply


def short_with(chain: Chain, *mute: int, seconds: float = 0.3) -> Chain:
    """The same chain client, which soon gives up these endpoints: the others keep their time, on a busy machine too."""
    for index in mute:
        wire = chain._endpoints[index].wire
        assert isinstance(wire, _Web3Wire)
        wire._timeout = seconds
    return chain


def raw(data: bytes) -> Script:
    """An endpoint that knows its chain and answers everything else with the same bytes."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if json.loads(asked.body)["method"] == "eth_chainId":
            await rpc()(asked, writer)
        else:
            writer.write(data)

    return script


def reverting(data: bytes) -> dict[str, object]:
    """A reply that says that the contract refused with ``data``."""
    return {"error": {"code": 3, "message": "execution reverted", "data": "0x" + data.hex()}}
