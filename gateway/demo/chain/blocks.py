"""Values of what was mined: blocks, transactions with their outcome, log entries."""

from __future__ import annotations

from dataclasses import dataclass

from eth.abc import BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event of a contract."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    index: int
    """Position within the block."""


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction together with what came of it."""

    signed: SignedTransactionAPI
    kind: int
    """EIP-2718 type: 0 legacy, 1 EIP-2930, 2 EIP-1559."""
    index: int
    """Position within the block."""
    sender: bytes
    created: bytes | None
    """Address of the contract that it created."""
    succeeded: bool
    gas_used: int
    cumulative_gas_used: int
    effective_gas_price: int
    """Wei that each gas cost."""
    bloom: int
    logs: tuple[LogEntry, ...]

    @property
    def hash(self) -> bytes:
        """32 bytes."""
        return bytes(self.signed.hash)


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A header with its transactions."""

    header: BlockHeaderAPI
    transactions: tuple[MinedTransaction, ...]
    size: int
    """Bytes of the RLP form."""

    @property
    def number(self) -> int:
        """Height; the first block is 0."""
        return int(self.header.block_number)

    @property
    def hash(self) -> bytes:
        """32 bytes."""
        return bytes(self.header.hash)


def transaction_kind(transaction: SignedTransactionAPI) -> int:
    """The EIP-2718 type; py-evm gives none to legacy transactions."""
    return transaction.type_id or 0


def mined_transaction(
    transaction: SignedTransactionAPI, receipt: ReceiptAPI, computation: ComputationAPI, header: BlockHeaderAPI
) -> MinedTransaction:
    """Put together what is known of the only transaction of a block."""
    base_fee = int(header.base_fee_per_gas or 0)
    succeeded = not computation.is_error
    created = computation.msg.storage_address if computation.msg.is_create and succeeded else None
    return MinedTransaction(
        signed=transaction,
        kind=transaction_kind(transaction),
        index=0,
        sender=bytes(transaction.sender),
        created=bytes(created) if created else None,
        succeeded=succeeded,
        gas_used=receipt.gas_used,
        cumulative_gas_used=receipt.gas_used,
        effective_gas_price=min(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas + base_fee),
        bloom=receipt.bloom,
        logs=tuple(
            LogEntry(bytes(log.address), tuple(topic.to_bytes(32, "big") for topic in log.topics), bytes(log.data), at)
            for at, log in enumerate(receipt.logs)
        ),
    )
