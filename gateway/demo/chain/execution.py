"""Calls that leave no trace: running one against a state, and the gas that one would need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth.abc import ComputationAPI, VirtualMachineAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import InsufficientStack, OutOfBoundsRead, Revert, VMError, WriteProtection
from eth.vm.message import Message
from eth_typing import Address

from gateway.demo.chain.failures import ExecutionFailed, Reverted
from gateway.demo.chain.genesis import BLOCK_GAS_LIMIT

ZERO_ADDRESS: Final = b"\0" * 20
_DEPLOYLESS: Final = b"\0" * 19 + b"\1"
_WORDS: Final[dict[type[VMError], str]] = {
    InsufficientStack: "stack underflow",
    OutOfBoundsRead: "return data out of bounds",
    WriteProtection: "write protection",
}
"""geth's, where py-evm's are others: clients tell by them that the contract failed and not the node."""


@dataclass(frozen=True, slots=True)
class Call:
    """The first parameter of eth_call and eth_estimateGas; without ``to``, ``data`` is creation code."""

    to: bytes | None
    data: bytes = b""
    sender: bytes = ZERO_ADDRESS
    value: int = 0
    gas: int | None = None


def run(vm: VirtualMachineAPI, call: Call) -> bytes:
    """What the call returns. Raises Reverted or ExecutionFailed. The virtual machine is spent afterwards."""
    computation = _compute(vm, call, min(call.gas or BLOCK_GAS_LIMIT, BLOCK_GAS_LIMIT))
    _raise_failure(computation)
    return bytes(computation.output)


def estimate(vm: VirtualMachineAPI, call: Call) -> int:
    """Gas limit with which a transaction of this call succeeds, at most 1/64 too high.

    Raises Reverted or ExecutionFailed when no gas is enough. Measuring alone does not do: a call may need more than
    it uses, since 1/64 stays behind at each inner call (EIP-150) and refunds come late.
    """
    base = _intrinsic(vm, call)
    ceiling = min(call.gas or BLOCK_GAS_LIMIT, BLOCK_GAS_LIMIT) - base
    if ceiling < 0:
        raise ExecutionFailed("gas required exceeds allowance")
    needed = _compute_reverting(vm, call, ceiling)
    _raise_failure(needed)
    enough, too_little = ceiling, needed.get_gas_used() - 1
    while enough - too_little > max(1, enough // 64):
        trial = min((enough + too_little) // 2, too_little + max(1, too_little // 32))
        if _compute_reverting(vm, call, trial).is_error:
            too_little = trial
        else:
            enough = trial
    return max(base + enough, _floor(call.data))


def _compute(vm: VirtualMachineAPI, call: Call, gas: int) -> ComputationAPI:
    state = vm.state
    context = state.get_transaction_context_class()(gas_price=0, origin=Address(call.sender))
    machine, sender = state.computation_class, Address(call.sender)
    if state.get_balance(sender) < call.value:
        raise ExecutionFailed("insufficient funds for transfer")
    if call.to is None:
        creation = Message(
            gas=gas,
            to=CREATE_CONTRACT_ADDRESS,
            sender=sender,
            value=call.value,
            data=b"",
            code=call.data,
            create_address=Address(_DEPLOYLESS),
        )
        return machine.apply_create_message(state, creation, context)
    to = Address(call.to)
    message = Message(gas=gas, to=to, sender=sender, value=call.value, data=call.data, code=bytes(state.get_code(to)))
    return machine.apply_message(state, message, context)


def _compute_reverting(vm: VirtualMachineAPI, call: Call, gas: int) -> ComputationAPI:
    snapshot = vm.state.snapshot()
    try:
        return _compute(vm, call, gas)
    finally:
        vm.state.revert(snapshot)


def _raise_failure(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    if isinstance(computation.error, Revert):
        raise Reverted(bytes(computation.output))
    raise ExecutionFailed(_WORDS.get(type(computation.error), str(computation.error)))


def _intrinsic(vm: VirtualMachineAPI, call: Call) -> int:
    transaction = vm.create_unsigned_transaction(
        nonce=0,
        gas_price=0,
        gas=BLOCK_GAS_LIMIT,
        to=CREATE_CONTRACT_ADDRESS if call.to is None else Address(call.to),
        value=call.value,
        data=call.data,
    )
    return transaction.intrinsic_gas


def _floor(data: bytes) -> int:
    """EIP-7623: calldata costs at least ten gas a token."""
    zeros = data.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(data) - zeros))
