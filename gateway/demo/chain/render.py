"""JSON shapes of blocks, transactions, receipts and events, as the Ethereum execution API has them."""

from __future__ import annotations

from typing import Final

from gateway.demo.chain.blocks import LogEntry, MinedBlock, MinedTransaction
from gateway.dm3.canonical import Json, JsonObject

_BLOOM_BYTES: Final = 256


def quantity(value: int) -> str:
    """A number as 0x hex without leading zeros."""
    return hex(value)


def data(value: bytes) -> str:
    """Bytes as 0x hex."""
    return "0x" + value.hex()


def word(value: int) -> str:
    """A number as 32 bytes."""
    return data(value.to_bytes(32, "big"))


def block(mined: MinedBlock, *, full: bool) -> JsonObject:
    """A block; ``full`` puts whole transactions in place of their hashes."""
    header = mined.header
    transactions: list[Json] = [transaction(mined, entry) if full else data(entry.hash) for entry in mined.transactions]
    return {
        "number": quantity(mined.number),
        "hash": data(mined.hash),
        "parentHash": data(header.parent_hash),
        "nonce": data(header.nonce),
        "sha3Uncles": data(header.uncles_hash),
        "logsBloom": _bloom(header.bloom),
        "transactionsRoot": data(header.transaction_root),
        "stateRoot": data(header.state_root),
        "receiptsRoot": data(header.receipt_root),
        "miner": data(header.coinbase),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": quantity(0),
        "extraData": data(header.extra_data),
        "size": quantity(mined.size),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "mixHash": data(header.mix_hash),
        "baseFeePerGas": quantity(header.base_fee_per_gas or 0),
        "withdrawalsRoot": data(header.withdrawals_root or b""),
        "blobGasUsed": quantity(header.blob_gas_used or 0),
        "excessBlobGas": quantity(header.excess_blob_gas or 0),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root or b""),
        "requestsHash": data(getattr(header, "requests_hash", b"")),
        "transactions": transactions,
        "withdrawals": [],
        "uncles": [],
    }


def transaction(mined: MinedBlock, entry: MinedTransaction) -> JsonObject:
    """A transaction with its place in the chain."""
    signed = entry.signed
    shape: JsonObject = {
        **_place(mined, entry),
        "hash": data(entry.hash),
        "type": quantity(entry.kind),
        "from": data(entry.sender),
        "to": data(signed.to) if signed.to else None,
        "nonce": quantity(signed.nonce),
        "gas": quantity(signed.gas),
        "gasPrice": quantity(entry.effective_gas_price),
        "value": quantity(signed.value),
        "input": data(signed.data),
        "r": quantity(signed.r),
        "s": quantity(signed.s),
        "v": quantity(getattr(signed, "v", signed.y_parity) if entry.kind == 0 else signed.y_parity),
    }
    if signed.chain_id is not None:
        shape["chainId"] = quantity(signed.chain_id)
    if entry.kind >= 1:
        shape["yParity"] = quantity(signed.y_parity)
        shape["accessList"] = [
            {"address": data(account), "storageKeys": [word(slot) for slot in slots]}
            for account, slots in signed.access_list
        ]
    if entry.kind == 2:
        shape["maxFeePerGas"] = quantity(signed.max_fee_per_gas)
        shape["maxPriorityFeePerGas"] = quantity(signed.max_priority_fee_per_gas)
    return shape


def receipt(mined: MinedBlock, entry: MinedTransaction) -> JsonObject:
    """What came of a transaction."""
    return {
        **_place(mined, entry),
        "transactionHash": data(entry.hash),
        "type": quantity(entry.kind),
        "from": data(entry.sender),
        "to": data(entry.signed.to) if entry.signed.to else None,
        "contractAddress": data(entry.created) if entry.created else None,
        "status": quantity(int(entry.succeeded)),
        "gasUsed": quantity(entry.gas_used),
        "cumulativeGasUsed": quantity(entry.cumulative_gas_used),
        "effectiveGasPrice": quantity(entry.effective_gas_price),
        "logsBloom": _bloom(entry.bloom),
        "logs": [log(mined, entry, item) for item in entry.logs],
    }


def log(mined: MinedBlock, entry: MinedTransaction, item: LogEntry) -> JsonObject:
    """One event with its place in the chain."""
    return {
        **_place(mined, entry),
        "transactionHash": data(entry.hash),
        "logIndex": quantity(item.index),
        "address": data(item.address),
        "topics": [data(topic) for topic in item.topics],
        "data": data(item.data),
        "removed": False,
    }


def _place(mined: MinedBlock, entry: MinedTransaction) -> JsonObject:
    return {
        "blockNumber": quantity(mined.number),
        "blockHash": data(mined.hash),
        "transactionIndex": quantity(entry.index),
    }


def _bloom(value: int) -> str:
    return data(value.to_bytes(_BLOOM_BYTES, "big"))
