"""Sending transactions of an operator's own key: for commands, the service itself sends none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dm3.canonical import Json, parse_object
from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import address_of, checksum
from gateway.ens.egress import GuardedClient
from gateway.errors import ChainUnavailable, GatewayError, InvalidInput
from gateway.ids import EthAddress

MINED_WITHIN: Final = 120.0
"""Seconds for which a transaction is waited for."""
POLL: Final = 1.0
USUAL_TIP: Final = 10**9
"""Wei, for nodes that advise none."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A key and the node that its transactions (EIP-1559) are given to."""

    key: bytes = field(repr=False)
    rpc_url: str = field(repr=False)
    chain_id: int
    client: GuardedClient
    """Must be allowed to reach ``rpc_url``, which may be on this machine."""

    @property
    def address(self) -> EthAddress:
        """Who sends."""
        return address_of(self.key)

    async def send(self, to: EthAddress, data: bytes) -> str:
        """Send a call and wait until it is in a block; its hash.

        Raises InvalidInput when the contract or the node refuses it, ChainUnavailable when the node does not answer,
        and also when it was sent and is in no block yet: whoever calls looks at the chain before sending again.
        """
        call: Json = {"from": self.address, "to": to, "data": to_hex(data)}
        gas = int(await self._ask("eth_estimateGas", call), 16)
        block = await self._ask("eth_getBlockByNumber", "latest", False)
        tip = await self._tip()
        transaction = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": int(await self._ask("eth_getTransactionCount", self.address, "pending"), 16),
            "to": checksum(to),
            "value": 0,
            "data": to_hex(data),
            "gas": gas + gas // 5,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": 2 * int(block.get("baseFeePerGas", "0x0"), 16) + tip,
        }
        raw = await asyncio.to_thread(_signed, self.key, transaction)
        sent = str(await self._ask("eth_sendRawTransaction", to_hex(raw)))
        await self._mined(sent)
        return sent

    async def _tip(self) -> int:
        try:
            return int(await self._ask("eth_maxPriorityFeePerGas"), 16)
        except InvalidInput:
            return USUAL_TIP

    async def _mined(self, sent: str) -> None:
        waited = 0.0
        while (receipt := await self._ask("eth_getTransactionReceipt", sent)) is None:
            if waited >= MINED_WITHIN:
                raise ChainUnavailable(f"transaction {sent} was sent and is in no block yet")
            await asyncio.sleep(POLL)
            waited += POLL
        if int(receipt["status"], 16) != 1:
            raise InvalidInput(f"transaction {sent} failed")

    async def _ask(self, method: str, *params: Json) -> Any:
        question: Json = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            fetched = await self.client.post_json(self.rpc_url, question, max_bytes=2**20)
            answer = parse_object(fetched.body, max_bytes=2**20, max_depth=16)
        except GatewayError as error:
            # The URL may hold a provider's access key.
            raise ChainUnavailable(f"{method}: the Ethereum node gave no answer ({type(error).__name__})") from None
        if "error" in answer:
            reason = answer["error"]
            text = reason.get("message") if isinstance(reason, dict) else None
            raise InvalidInput(f"{method}: the Ethereum node refuses it: {str(text)[:200]}")
        return answer.get("result")


def _signed(key: bytes, transaction: dict[str, Any]) -> bytes:
    # Comes with web3, and takes as long to load.
    from eth_account import Account

    return bytes(Account.sign_transaction(transaction, key).raw_transaction)
