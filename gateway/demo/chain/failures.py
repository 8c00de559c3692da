"""How the local chain says no; codes and words are those of geth, since clients match on both."""

from __future__ import annotations

from gateway.errors import GatewayError


class ChainFailure(GatewayError):
    """Root of what the chain refuses; JSON-RPC code of geth for failed calls and transactions."""

    code, status = -32000, 200
    sentence = "The chain refused this."


class Reverted(ChainFailure):
    """A contract reverted; ``data`` is what it gave back (ERC-838, also the carrier of ERC-3668)."""

    code = 3
    sentence = "execution reverted"

    def __init__(self, data: bytes) -> None:
        super().__init__(_sentence(data))
        self.data = data


class ExecutionFailed(ChainFailure):
    """The machine stopped without a revert: out of gas, invalid opcode, no funds for the value."""

    sentence = "execution failed"


class TransactionRefused(ChainFailure):
    """A transaction that cannot be mined: undecodable, wrong nonce, no funds, foreign chain id."""

    sentence = "transaction refused"


class UnknownBlock(ChainFailure):
    """A block number or hash that this chain does not have."""

    sentence = "header not found"


def _sentence(data: bytes) -> str:
    """``execution reverted`` and, when the data are ``Error(string)``, the reason."""
    if data[:4] != bytes.fromhex("08c379a0") or len(data) < 68:
        return "execution reverted"
    size = int.from_bytes(data[36:68], "big")
    return f"execution reverted: {data[68 : 68 + size].decode('utf-8', 'replace')}"
