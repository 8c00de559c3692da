"""The chain itself: py-evm with one block for each transaction, mined at once.

Every method is synchronous, takes milliseconds of CPU and may be called from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, cast

import rlp
from eth.abc import BlockHeaderAPI, MiningChainAPI, SignedTransactionAPI, StateAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.exceptions import UnrecognizedTransactionType
from eth.vm.forks.prague import PragueVM
from eth_keys.exceptions import BadSignature
from eth_typing import Address
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from gateway.demo.chain.blocks import MinedBlock, MinedTransaction, mined_transaction, transaction_kind
from gateway.demo.chain.execution import Call, estimate, run
from gateway.demo.chain.failures import TransactionRefused, UnknownBlock
from gateway.demo.chain.genesis import BLOCK_GAS_LIMIT, Genesis, write_genesis
from gateway.dm3.eth import address_bytes, keccak256
from gateway.ids import EthAddress

CHAIN_ID: Final = 31337
MAX_TRANSACTION_BYTES: Final = 128 * 1024
_MINEABLE_KINDS: Final = (0, 1, 2)
_UNDECODABLE: Final = (RLPException, ValidationError, UnrecognizedTransactionType, TypeError, ValueError)

BlockRef = int | bytes | None
"""A height, a 32-byte hash, or None for the newest block with the clock's time."""


class DevChain:
    """A chain of one node; ``clock`` gives seconds since the epoch and can be set forward by ``increase_time``."""

    def __init__(self, genesis: Genesis, *, chain_id: int = CHAIN_ID, clock: Callable[[], float] = time.time) -> None:
        self.chain_id = chain_id
        self._clock = clock
        self._offset = 0
        self._lock = threading.RLock()
        db = AtomicDB()
        chain_class = MiningChain.configure("DevMiningChain", vm_configuration=((0, PragueVM),), chain_id=chain_id)
        header = write_genesis(db, PragueVM, chain_id, genesis)
        self._chain = cast(MiningChainAPI, chain_class.from_genesis_header(db, header))
        self._blocks: list[MinedBlock] = [MinedBlock(header, (), len(rlp.encode(header)))]
        self._by_hash: dict[bytes, MinedBlock] = {self._blocks[0].hash: self._blocks[0]}
        self._transactions: dict[bytes, tuple[MinedBlock, MinedTransaction]] = {}

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def head(self) -> MinedBlock:
        """The newest block."""
        return self._blocks[-1]

    def block(self, ref: BlockRef = None) -> MinedBlock:
        """The block meant; raises UnknownBlock."""
        with self._lock:
            if ref is None:
                return self.head
            if isinstance(ref, bytes):
                found = self._by_hash.get(ref)
            else:
                found = self._blocks[ref] if 0 <= ref < len(self._blocks) else None
        if found is None:
            raise UnknownBlock
        return found

    def blocks(self, first: int, last: int) -> tuple[MinedBlock, ...]:
        """The blocks of these heights, both included, as far as there are any."""
        with self._lock:
            return tuple(self._blocks[max(first, 0) : max(last + 1, 0)])

    def transaction(self, transaction_hash: bytes) -> tuple[MinedBlock, MinedTransaction] | None:
        """The transaction and its block, or None."""
        return self._transactions.get(transaction_hash)

    def balance(self, address: EthAddress, ref: BlockRef = None) -> int:
        """Wei."""
        with self._lock:
            return self._state(ref).get_balance(_raw(address))

    def nonce(self, address: EthAddress, ref: BlockRef = None) -> int:
        """Number of transactions that the address has sent (of contracts: has created)."""
        with self._lock:
            return self._state(ref).get_nonce(_raw(address))

    def code(self, address: EthAddress, ref: BlockRef = None) -> bytes:
        """Runtime code of a contract; empty for others."""
        with self._lock:
            return bytes(self._state(ref).get_code(_raw(address)))

    def storage(self, address: EthAddress, slot: int, ref: BlockRef = None) -> int:
        """The 256-bit word at ``slot``."""
        with self._lock:
            return self._state(ref).get_storage(_raw(address), slot)

    def call(self, call: Call, ref: BlockRef = None) -> bytes:
        """Execute without a trace.

        Against the newest block the contract sees the clock's time, not that of the block: on an idle chain an
        expired signature would else pass for ever. Raises Reverted, ExecutionFailed, UnknownBlock.
        """
        with self._lock:
            return run(self._vm(ref), call)

    def estimate_gas(self, call: Call, ref: BlockRef = None) -> int:
        """Gas limit that is enough; raises as ``call`` does."""
        with self._lock:
            return estimate(self._vm(ref), call)

    @property
    def next_base_fee(self) -> int:
        """Wei for one gas in the next block (EIP-1559)."""
        with self._lock:
            return int(self._next_header().base_fee_per_gas or 0)

    # --- writing ------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Seconds since the epoch by this chain's clock.

        The newest block can be ahead of it: blocks are at least a second apart, however fast they are mined.
        """
        return int(self._clock()) + self._offset

    def increase_time(self, seconds: int) -> int:
        """Set the clock forward; returns the sum of all such steps. A test aid."""
        with self._lock:
            self._offset += seconds
            return self._offset

    def mine(self) -> MinedBlock:
        """Append an empty block."""
        with self._lock:
            return self._append(None)

    def send_raw_transaction(self, raw: bytes) -> MinedTransaction:
        """Mine a signed transaction (legacy, EIP-2930 or EIP-1559) in a block of its own; raises TransactionRefused.

        A transaction that reverts is mined all the same, as everywhere.
        """
        with self._lock:
            transaction = self._decode(raw)
            self._check(transaction)
            try:
                return self._append(transaction).transactions[0]
            except (ValidationError, BadSignature) as error:
                raise TransactionRefused(str(error)) from None

    def _append(self, transaction: SignedTransactionAPI | None) -> MinedBlock:
        self._chain.header = self._next_header()
        transactions = () if transaction is None else (transaction,)
        imported, receipts, computations = self._chain.mine_all(transactions)
        block = imported.imported_block
        mined = tuple(
            mined_transaction(*outcome, block.header)
            for outcome in zip(transactions, receipts, computations, strict=True)
        )
        result = MinedBlock(block.header, mined, len(rlp.encode(block)))
        self._blocks.append(result)
        self._by_hash[result.hash] = result
        for entry in mined:
            self._transactions[entry.hash] = (result, entry)
        return result

    def _decode(self, raw: bytes) -> SignedTransactionAPI:
        if len(raw) > MAX_TRANSACTION_BYTES:
            raise TransactionRefused("oversized data")
        try:
            transaction = PragueVM.get_transaction_builder().decode(raw)
            transaction.validate()
            transaction.check_signature_validity()
        except _UNDECODABLE as error:
            raise TransactionRefused(f"rlp: {error}"[:200]) from None
        return transaction

    def _check(self, transaction: SignedTransactionAPI) -> None:
        if transaction_kind(transaction) not in _MINEABLE_KINDS:
            raise TransactionRefused("transaction type not supported")
        if transaction.chain_id not in (None, self.chain_id):
            raise TransactionRefused("invalid chain id for signer")
        if transaction.gas > BLOCK_GAS_LIMIT:
            raise TransactionRefused("exceeds block gas limit")
        if transaction.gas < transaction.intrinsic_gas:
            raise TransactionRefused("intrinsic gas too low")
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise TransactionRefused("max priority fee per gas higher than max fee per gas")
        state = self._state(None)
        nonce = state.get_nonce(transaction.sender)
        if transaction.nonce != nonce:
            low_or_high = "low" if transaction.nonce < nonce else "high"
            raise TransactionRefused(f"nonce too {low_or_high}: next nonce {nonce}, tx nonce {transaction.nonce}")
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if state.get_balance(transaction.sender) < cost:
            raise TransactionRefused("insufficient funds for gas * price + value")

    def _next_header(self) -> BlockHeaderAPI:
        parent = self.head.header
        return self._chain.create_header_from_parent(
            parent, gas_limit=BLOCK_GAS_LIMIT, timestamp=max(self.now(), parent.timestamp + 1)
        )

    def _vm(self, ref: BlockRef) -> VirtualMachineAPI:
        header = self.block(ref).header
        return self._chain.get_vm(header.copy(timestamp=self.now()) if ref is None else header)

    def _state(self, ref: BlockRef) -> StateAPI:
        return self._vm(ref).state


def created_address(sender: EthAddress, nonce: int) -> EthAddress:
    """Where the contract will be that ``sender`` creates in its transaction ``nonce`` (Yellow Paper, section 7)."""
    digest = keccak256(rlp.encode([address_bytes(sender), nonce]))
    return EthAddress("0x" + digest[-20:].hex())


def _raw(address: EthAddress) -> Address:
    return Address(address_bytes(address))
