"""Sending transactions from the local chain's own accounts: built, signed and mined in one step."""

from __future__ import annotations

from typing import Final

from eth.vm.forks.london.transactions import UnsignedDynamicFeeTransaction
from eth_keys.datatypes import PrivateKey
from eth_typing import Address

from gateway.demo.chain.accounts import Account
from gateway.demo.chain.blocks import MinedTransaction
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.execution import Call
from gateway.demo.chain.failures import ExecutionFailed
from gateway.dm3.eth import address_bytes
from gateway.ids import EthAddress

_TIP: Final = 10**9


def send(chain: DevChain, sender: Account, to: EthAddress | None, data: bytes) -> MinedTransaction:
    """Mine a transaction (EIP-1559) of ``sender``; without ``to`` it creates a contract from ``data``.

    Raises Reverted with the contract's reason when it would revert: nothing is mined then.
    """
    target = None if to is None else address_bytes(to)
    gas = chain.estimate_gas(Call(to=target, data=data, sender=address_bytes(sender.address)))
    unsigned = UnsignedDynamicFeeTransaction(
        chain_id=chain.chain_id,
        nonce=chain.nonce(sender.address),
        max_priority_fee_per_gas=_TIP,
        max_fee_per_gas=2 * chain.next_base_fee + _TIP,
        gas=gas,
        to=Address(target or b""),
        value=0,
        data=data,
        access_list=(),
    )
    mined = chain.send_raw_transaction(unsigned.as_signed_transaction(PrivateKey(sender.key)).encode())
    if not mined.succeeded:
        raise ExecutionFailed("a transaction failed although its estimate did not")
    return mined
