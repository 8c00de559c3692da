"""The JSON-RPC methods of the local chain, each a plain function of chain and parameters.

They are what viem, ethers 5 and 6, web3.py and wallets ask for, in the encodings of the Ethereum execution API, and
two test aids (``evm_mine``, ``evm_increaseTime``) with the meaning that other development chains give them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.demo.chain import params, render
from gateway.demo.chain.evm import BlockRef, DevChain
from gateway.demo.chain.failures import UnknownBlock
from gateway.demo.chain.logs import find_logs
from gateway.dm3.canonical import Json
from gateway.errors import InvalidParams
from gateway.ids import EthAddress

Params = Sequence[Json]
Method = Callable[[DevChain, Params], Json]

PRIORITY_FEE: Final = 10**9
"""Wei that ``eth_maxPriorityFeePerGas`` advises."""
MAX_FEE_HISTORY: Final = 1024
_MAX_STEP: Final = 100 * 365 * 24 * 3600


def client_version(chain: DevChain, _: Params) -> Json:
    """web3_clientVersion."""
    return "dm3-gateway-chain/py-evm"


def net_version(chain: DevChain, _: Params) -> Json:
    """net_version: the chain id in decimal digits."""
    return str(chain.chain_id)


def chain_id(chain: DevChain, _: Params) -> Json:
    """eth_chainId (EIP-695)."""
    return render.quantity(chain.chain_id)


def accounts(chain: DevChain, _: Params) -> Json:
    """eth_accounts: none, this node holds no keys."""
    return []


def syncing(chain: DevChain, _: Params) -> Json:
    """eth_syncing and net_listening's opposite: never."""
    return False


def block_number(chain: DevChain, _: Params) -> Json:
    """eth_blockNumber."""
    return render.quantity(chain.head.number)


def gas_price(chain: DevChain, _: Params) -> Json:
    """eth_gasPrice: base fee of the next block and the tip."""
    return render.quantity(chain.next_base_fee + PRIORITY_FEE)


def max_priority_fee(chain: DevChain, _: Params) -> Json:
    """eth_maxPriorityFeePerGas."""
    return render.quantity(PRIORITY_FEE)


def fee_history(chain: DevChain, given: Params) -> Json:
    """eth_feeHistory; rewards are the fixed tip, since every block has room."""
    newest = chain.block(params.block_ref(params.required(given, 1)))
    count = min(params.quantity(params.required(given, 0)), MAX_FEE_HISTORY, newest.number + 1)
    percentiles = params.optional(given, 2) or []
    if not isinstance(percentiles, list) or len(percentiles) > 100:
        raise InvalidParams("percentiles must be a list of at most 100 numbers")
    blocks = chain.blocks(newest.number - count + 1, newest.number)
    following = chain.blocks(newest.number + 1, newest.number + 1)
    after = following[0].header.base_fee_per_gas if following else chain.next_base_fee
    fees: list[Json] = [render.quantity(block.header.base_fee_per_gas or 0) for block in blocks]
    rewards: list[Json] = [[render.quantity(PRIORITY_FEE)] * len(percentiles) for _ in blocks]
    ratios: list[Json] = [block.header.gas_used / block.header.gas_limit for block in blocks]
    return {
        "oldestBlock": render.quantity(newest.number - count + 1),
        "baseFeePerGas": [*fees, render.quantity(after or 0)],
        "gasUsedRatio": ratios,
        "reward": rewards,
    }


def get_balance(chain: DevChain, given: Params) -> Json:
    """eth_getBalance."""
    return render.quantity(chain.balance(*_account_at(given, 1)))


def get_transaction_count(chain: DevChain, given: Params) -> Json:
    """eth_getTransactionCount; mined at once, so pending equals latest."""
    return render.quantity(chain.nonce(*_account_at(given, 1)))


def get_code(chain: DevChain, given: Params) -> Json:
    """eth_getCode."""
    return render.data(chain.code(*_account_at(given, 1)))


def get_storage_at(chain: DevChain, given: Params) -> Json:
    """eth_getStorageAt."""
    address, ref = _account_at(given, 2)
    return render.word(chain.storage(address, params.quantity(params.required(given, 1)), ref))


def call(chain: DevChain, given: Params) -> Json:
    """eth_call."""
    params.no_overrides(params.optional(given, 2))
    request = params.call(params.required(given, 0))
    return render.data(chain.call(request, params.block_ref(params.optional(given, 1))))


def estimate_gas(chain: DevChain, given: Params) -> Json:
    """eth_estimateGas."""
    params.no_overrides(params.optional(given, 2))
    request = params.call(params.required(given, 0))
    return render.quantity(chain.estimate_gas(request, params.block_ref(params.optional(given, 1))))


def send_raw_transaction(chain: DevChain, given: Params) -> Json:
    """eth_sendRawTransaction."""
    return render.data(chain.send_raw_transaction(params.data(params.required(given, 0))).hash)


def get_transaction(chain: DevChain, given: Params) -> Json:
    """eth_getTransactionByHash."""
    found = chain.transaction(params.fixed(params.required(given, 0), 32))
    return None if found is None else render.transaction(*found)


def get_receipt(chain: DevChain, given: Params) -> Json:
    """eth_getTransactionReceipt."""
    found = chain.transaction(params.fixed(params.required(given, 0), 32))
    return None if found is None else render.receipt(*found)


def get_block_by_number(chain: DevChain, given: Params) -> Json:
    """eth_getBlockByNumber."""
    return _block(chain, params.required(given, 0), params.optional(given, 1))


def get_block_by_hash(chain: DevChain, given: Params) -> Json:
    """eth_getBlockByHash."""
    wanted = params.fixed(params.required(given, 0), 32)
    return _block(chain, render.data(wanted), params.optional(given, 1))


def get_logs(chain: DevChain, given: Params) -> Json:
    """eth_getLogs."""
    query = params.json_object(params.required(given, 0))
    return [render.log(*found) for found in find_logs(chain, query)]


def mine(chain: DevChain, _: Params) -> Json:
    """evm_mine: one empty block."""
    chain.mine()
    return "0x0"


def increase_time(chain: DevChain, given: Params) -> Json:
    """evm_increaseTime: seconds to add to the clock; gives the sum of all steps."""
    seconds = params.quantity(params.required(given, 0))
    if seconds > _MAX_STEP:
        raise InvalidParams("more than a hundred years")
    return render.quantity(chain.increase_time(seconds))


def _account_at(given: Params, ref_place: int) -> tuple[EthAddress, BlockRef]:
    return params.address(params.required(given, 0)), params.block_ref(params.optional(given, ref_place))


def _block(chain: DevChain, ref: Json, full: Json) -> Json:
    try:
        return render.block(chain.block(params.block_ref(ref)), full=params.flag(full))
    except UnknownBlock:
        return None


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "web3_clientVersion": client_version,
        "net_version": net_version,
        "eth_chainId": chain_id,
        "eth_accounts": accounts,
        "eth_syncing": syncing,
        "eth_blockNumber": block_number,
        "eth_gasPrice": gas_price,
        "eth_maxPriorityFeePerGas": max_priority_fee,
        "eth_feeHistory": fee_history,
        "eth_getBalance": get_balance,
        "eth_getTransactionCount": get_transaction_count,
        "eth_getCode": get_code,
        "eth_getStorageAt": get_storage_at,
        "eth_call": call,
        "eth_estimateGas": estimate_gas,
        "eth_sendRawTransaction": send_raw_transaction,
        "eth_getTransactionByHash": get_transaction,
        "eth_getTransactionReceipt": get_receipt,
        "eth_getBlockByNumber": get_block_by_number,
        "eth_getBlockByHash": get_block_by_hash,
        "eth_getLogs": get_logs,
        "evm_mine": mine,
        "evm_increaseTime": increase_time,
    }
)
"""By the name on the wire."""
