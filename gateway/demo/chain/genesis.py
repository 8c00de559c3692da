"""The first block: funded accounts, and the ENS registry and universal resolver at their well-known addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth.abc import AtomicDatabaseAPI, BlockHeaderAPI, StateAPI, VirtualMachineAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth.vm.message import Message
from eth_typing import Address, BlockNumber

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account
from gateway.demo.chain.artefacts import load_artefact
from gateway.dm3.eth import address_bytes
from gateway.ids import EthAddress

REGISTRY: Final = EthAddress("0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e")
"""The ENS registry, where mainnet has it."""

UNIVERSAL_RESOLVER: Final = EthAddress("0xeeeeeeee14d718c2b47d9923deab1335e144eeee")
"""The universal resolver; viem, ethers 6 and web3.py have this address built in."""

BLOCK_GAS_LIMIT: Final = 45_000_000
"""Gas of one block and of one call."""

INITIAL_BASE_FEE: Final = 10**9
"""Wei for one gas in the first block (EIP-1559)."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a chain starts with."""

    balances: Mapping[EthAddress, int]
    """Wei by address."""
    contracts: Mapping[EthAddress, bytes]
    """Creation code by the address where its constructor is to run."""
    timestamp: int
    """Seconds since the epoch."""


def ens_genesis(accounts: Mapping[str, Account], timestamp: int) -> Genesis:
    """Accounts with funds, the registry owned by the account ``root``, and the universal resolver over it."""
    registry = load_artefact("ENSRegistry").creation_code(accounts["root"].address)
    resolver = load_artefact("UniversalResolver").creation_code(REGISTRY, [])
    return Genesis(
        balances={account.address: ACCOUNT_BALANCE for account in accounts.values()},
        contracts={REGISTRY: registry, UNIVERSAL_RESOLVER: resolver},
        timestamp=timestamp,
    )


def write_genesis(
    db: AtomicDatabaseAPI, vm: type[VirtualMachineAPI], chain_id: int, genesis: Genesis
) -> BlockHeaderAPI:
    """Write the first state into ``db`` and return the first block's header.

    Constructors run as they would in a transaction, so that storage and immutables are right without knowing how
    the compiler lays them out; only the address is chosen.
    """
    before = BlockHeader(
        difficulty=0, block_number=BlockNumber(-1), gas_limit=BLOCK_GAS_LIMIT, timestamp=genesis.timestamp
    )
    state = vm.build_state(db, before, ChainContext(chain_id))
    for address, wei in genesis.balances.items():
        state.set_balance(Address(address_bytes(address)), wei)
    for address, creation_code in genesis.contracts.items():
        _create(state, Address(address_bytes(address)), creation_code)
    state.persist()
    return vm.create_genesis_header(
        difficulty=0,
        gas_limit=BLOCK_GAS_LIMIT,
        timestamp=genesis.timestamp,
        base_fee_per_gas=INITIAL_BASE_FEE,
        state_root=state.state_root,
    )


def _create(state: StateAPI, address: Address, creation_code: bytes) -> None:
    message = Message(
        gas=BLOCK_GAS_LIMIT,
        to=CREATE_CONTRACT_ADDRESS,
        sender=address,
        value=0,
        data=b"",
        code=creation_code,
        create_address=address,
    )
    context = state.get_transaction_context_class()(gas_price=0, origin=address)
    state.computation_class.apply_create_message(state, message, context).raise_if_error()
