"""JSON-RPC endpoints that answer by a table, to provoke what a real chain does not do."""

from __future__ import annotations

import asyncio
import json

from tests.integration.ens.servers import Asked, Script, response


def rpc(**replies: object) -> Script:
    """An endpoint of chain 31337 with fixed replies by method; a dict stands for the whole reply."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        request = json.loads(asked.body)
        reply = {"eth_chainId": "0x7a69", **replies}.get(request["method"])
        body = reply if isinstance(reply, dict) else {"result": reply}
        writer.write(response(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}).encode()))

    return script


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
