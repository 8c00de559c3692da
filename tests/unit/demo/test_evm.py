"""The embedded chain: state, calls, time, transactions of all three kinds, and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from eth.vm.forks.berlin.transactions import UnsignedAccessListTransaction
from eth.vm.forks.london.transactions import LondonUnsignedLegacyTransaction, UnsignedDynamicFeeTransaction
from eth_keys.datatypes import PrivateKey

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account
from gateway.demo.chain.artefacts import load_artefact
from gateway.demo.chain.evm import MAX_TRANSACTION_BYTES, DevChain, created_address
from gateway.demo.chain.execution import Call
from gateway.demo.chain.failures import ExecutionFailed, Reverted, TransactionRefused, UnknownBlock
from gateway.demo.chain.genesis import BLOCK_GAS_LIMIT, REGISTRY, UNIVERSAL_RESOLVER
from gateway.demo.chain.wallet import send
from gateway.dm3.eth import address_bytes
from gateway.ids import EthAddress
from tests.unit.demo.conftest import START, Clock

GWEI = 10**9
# TIMESTAMP PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
CLOCK_CODE = bytes.fromhex("425f5260205ff3")
# INVALID
BROKEN_CODE = bytes.fromhex("fe")
# JUMPDEST PUSH0 JUMP
ENDLESS_CODE = bytes.fromhex("5b5f56")
ROOT_OWNER = load_artefact("ENSRegistry").call("owner(bytes32)", bytes(32))


def creation_of(runtime: bytes) -> bytes:
    """Creation code that installs ``runtime``: PUSH1 size PUSH1 offset PUSH0 CODECOPY PUSH1 size PUSH0 RETURN."""
    size = len(runtime)
    return bytes((0x60, size, 0x60, 10, 0x5F, 0x39, 0x60, size, 0x5F, 0xF3)) + runtime


def deploy(chain: DevChain, sender: Account, runtime: bytes) -> bytes:
    created = send(chain, sender, None, creation_of(runtime)).created
    assert created is not None
    return created


def transfer(chain: DevChain, sender: Account, recipient: Account, value: int, **changes: Any) -> bytes:
    """A signed EIP-1559 transfer; ``changes`` replace fields of the unsigned transaction."""
    fields: dict[str, Any] = {
        "chain_id": chain.chain_id,
        "nonce": chain.nonce(sender.address),
        "max_priority_fee_per_gas": GWEI,
        "max_fee_per_gas": 10 * GWEI,
        "gas": 21_000,
        "to": address_bytes(recipient.address),
        "value": value,
        "data": b"",
        "access_list": (),
    }
    return UnsignedDynamicFeeTransaction(**{**fields, **changes}).as_signed_transaction(PrivateKey(sender.key)).encode()


class TestGenesis:
    def test_accounts_have_funds(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        assert {chain.balance(person.address) for person in people.values()} == {ACCOUNT_BALANCE}

    def test_registry_and_universal_resolver_stand_at_their_addresses(self, chain: DevChain) -> None:
        assert chain.code(REGISTRY)
        assert chain.code(UNIVERSAL_RESOLVER)

    def test_the_constructor_of_the_registry_has_run(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        owner = chain.call(Call(address_bytes(REGISTRY), ROOT_OWNER))
        assert owner == bytes(12) + address_bytes(people["root"].address)

    def test_two_chains_share_nothing(self, chain: DevChain, people: Mapping[str, Account], clock: Clock) -> None:
        from gateway.demo.chain.genesis import ens_genesis

        other = DevChain(ens_genesis(people, START), clock=clock, chain_id=7)
        chain.mine()
        assert (chain.head.number, other.head.number, other.chain_id) == (1, 0, 7)


class TestTime:
    def test_a_call_sees_the_clock_even_when_no_block_is_mined(
        self, chain: DevChain, people: Mapping[str, Account], clock: Clock
    ) -> None:
        contract = deploy(chain, people["alice"], CLOCK_CODE)
        clock.seconds += 844
        assert int.from_bytes(chain.call(Call(contract)), "big") == START + 844

    def test_a_call_to_a_past_block_sees_the_time_of_that_block(
        self, chain: DevChain, people: Mapping[str, Account], clock: Clock
    ) -> None:
        contract = deploy(chain, people["alice"], CLOCK_CODE)
        clock.seconds += 844
        seen = int.from_bytes(chain.call(Call(contract), chain.head.number), "big")
        assert seen == chain.head.header.timestamp == START + 1

    def test_increase_time_adds_up(self, chain: DevChain) -> None:
        assert (chain.increase_time(10), chain.increase_time(5)) == (10, 15)
        assert chain.now() == START + 15
        assert chain.mine().header.timestamp == START + 15

    def test_blocks_of_one_second_get_rising_times_but_calls_the_true_one(
        self, chain: DevChain, people: Mapping[str, Account]
    ) -> None:
        contract = deploy(chain, people["alice"], CLOCK_CODE)
        times = [chain.mine().header.timestamp for _ in range(3)]
        assert times == [START + 2, START + 3, START + 4]
        assert int.from_bytes(chain.call(Call(contract)), "big") == START


class TestBlocks:
    def test_by_number_hash_and_newest(self, chain: DevChain) -> None:
        mined = chain.mine()
        assert chain.block(1) is chain.block(mined.hash) is chain.block() is mined

    @pytest.mark.parametrize("ref", [2, -1, b"\0" * 32])
    def test_unknown(self, chain: DevChain, ref: int | bytes) -> None:
        chain.mine()
        with pytest.raises(UnknownBlock):
            chain.block(ref)

    def test_range_is_cut_to_what_there_is(self, chain: DevChain) -> None:
        for _ in range(3):
            chain.mine()
        assert [block.number for block in chain.blocks(2, 99)] == [2, 3]
        assert [block.number for block in chain.blocks(-5, 0)] == [0]
        assert chain.blocks(3, 1) == ()

    def test_blocks_are_linked(self, chain: DevChain) -> None:
        chain.mine()
        chain.mine()
        assert chain.block(2).header.parent_hash == chain.block(1).hash

    def test_gas_limit_stays(self, chain: DevChain) -> None:
        assert {chain.mine().header.gas_limit for _ in range(5)} == {BLOCK_GAS_LIMIT}

    def test_base_fee_falls_when_blocks_are_empty(self, chain: DevChain) -> None:
        announced = chain.next_base_fee
        assert chain.mine().header.base_fee_per_gas == announced
        assert chain.next_base_fee < announced


class TestCalls:
    def test_revert_carries_reason_and_data(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        registry = load_artefact("ENSRegistry")
        call = registry.call("setOwner(bytes32,address)", bytes(32), people["mallory"].address)
        with pytest.raises(Reverted) as caught:
            chain.call(Call(address_bytes(REGISTRY), call, sender=address_bytes(people["mallory"].address)))
        assert caught.value.detail == "execution reverted: not authorised"
        assert caught.value.data[:4].hex() == "08c379a0"
        assert caught.value.code == 3

    @pytest.mark.parametrize("runtime", [BROKEN_CODE, ENDLESS_CODE])
    def test_failure_without_revert(self, chain: DevChain, people: Mapping[str, Account], runtime: bytes) -> None:
        contract = deploy(chain, people["alice"], runtime)
        with pytest.raises(ExecutionFailed):
            chain.call(Call(contract, gas=100_000))

    @pytest.mark.parametrize(
        ("runtime", "words"),
        [
            ("50", "stack underflow"),
            ("5b5f5f56", "stack limit"),
            ("fe", "invalid opcode"),
            ("60ff56", "invalid jump"),
            ("60015f5f3e", "return data out of bounds"),
            ("5b5f56", "out of gas"),
        ],
    )
    def test_failures_are_worded_as_geth_does(
        self, chain: DevChain, people: Mapping[str, Account], runtime: str, words: str
    ) -> None:
        contract = deploy(chain, people["alice"], bytes.fromhex(runtime))
        with pytest.raises(ExecutionFailed, match=f"(?i){words}"):
            chain.call(Call(contract, gas=100_000))

    def test_a_call_leaves_no_trace(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        registry = load_artefact("ENSRegistry")
        root = address_bytes(people["root"].address)
        call = registry.call("setOwner(bytes32,address)", bytes(32), people["bob"].address)
        chain.call(Call(address_bytes(REGISTRY), call, sender=root))
        assert chain.call(Call(address_bytes(REGISTRY), ROOT_OWNER))[12:] == root

    def test_value_without_funds(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        with pytest.raises(ExecutionFailed, match=r"(?i)insufficient"):
            chain.call(Call(address_bytes(people["bob"].address), value=1))

    def test_creation_code_without_a_target_returns_what_it_would_install(self, chain: DevChain) -> None:
        assert chain.call(Call(None, creation_of(CLOCK_CODE))) == CLOCK_CODE

    def test_call_to_nobody_returns_nothing(self, chain: DevChain) -> None:
        assert chain.call(Call(b"\7" * 20, b"\1\2\3\4")) == b""

    def test_past_state_can_be_asked(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        before = chain.head.number
        chain.send_raw_transaction(transfer(chain, people["alice"], people["bob"], 5))
        bob = people["bob"].address
        assert chain.balance(bob) - chain.balance(bob, before) == 5
        assert (chain.nonce(people["alice"].address, before), chain.nonce(people["alice"].address)) == (0, 1)


class TestEstimate:
    def test_plain_transfer_is_exact(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        alice, bob = (address_bytes(people[name].address) for name in ("alice", "bob"))
        assert chain.estimate_gas(Call(bob, sender=alice, value=1)) == 21_000

    def test_calldata_floor(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        """EIP-7623: 10 gas a token, four tokens a non-zero byte."""
        bob = address_bytes(people["bob"].address)
        assert chain.estimate_gas(Call(bob, b"\0" * 10 + b"\1" * 100)) == 21_000 + 10 * (10 + 400)

    def test_is_enough_and_not_far_too_much(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        root = people["root"]
        call = load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", bytes(32), 5)
        estimate = chain.estimate_gas(Call(address_bytes(REGISTRY), call, address_bytes(root.address)))
        used = send(chain, root, REGISTRY, call).gas_used
        assert used <= estimate <= used + used // 32

    def test_creation(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        code = load_artefact("PublicResolver").creation_code(REGISTRY)
        estimate = chain.estimate_gas(Call(None, code, address_bytes(people["bob"].address)))
        assert send(chain, people["bob"], None, code).gas_used <= estimate

    def test_of_a_call_that_reverts(self, chain: DevChain) -> None:
        call = load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", bytes(32), 5)
        with pytest.raises(Reverted):
            chain.estimate_gas(Call(address_bytes(REGISTRY), call, b"\7" * 20))

    def test_allowance_below_the_base(self, chain: DevChain) -> None:
        with pytest.raises(ExecutionFailed, match="allowance"):
            chain.estimate_gas(Call(b"\7" * 20, gas=20_999))

    def test_endless_loop_ends(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        contract = deploy(chain, people["alice"], ENDLESS_CODE)
        with pytest.raises(ExecutionFailed):
            chain.estimate_gas(Call(contract, gas=200_000))


class TestTransactions:
    def test_dynamic_fee(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        base_fee = chain.next_base_fee
        mined = chain.send_raw_transaction(transfer(chain, people["alice"], people["bob"], 5))
        assert (mined.kind, mined.succeeded, mined.gas_used) == (2, True, 21_000)
        assert mined.effective_gas_price == base_fee + GWEI
        assert mined.sender == address_bytes(people["alice"].address)
        cost = 5 + 21_000 * mined.effective_gas_price
        assert chain.balance(people["alice"].address) == ACCOUNT_BALANCE - cost

    def test_legacy_with_replay_protection(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        unsigned = LondonUnsignedLegacyTransaction(0, 3 * GWEI, 21_000, address_bytes(people["bob"].address), 5, b"")
        raw = unsigned.as_signed_transaction(PrivateKey(people["alice"].key), chain_id=chain.chain_id).encode()
        mined = chain.send_raw_transaction(raw)
        assert (mined.kind, mined.effective_gas_price) == (0, 3 * GWEI)

    def test_access_list(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        unsigned = UnsignedAccessListTransaction(
            chain_id=chain.chain_id,
            nonce=0,
            gas_price=3 * GWEI,
            gas=30_000,
            to=address_bytes(people["bob"].address),
            value=5,
            data=b"",
            access_list=((address_bytes(REGISTRY), (1, 2)),),
        )
        mined = chain.send_raw_transaction(unsigned.as_signed_transaction(PrivateKey(people["alice"].key)).encode())
        assert (mined.kind, mined.gas_used) == (1, 21_000 + 2_400 + 2 * 1_900)

    def test_is_found_by_hash(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        mined = chain.send_raw_transaction(transfer(chain, people["alice"], people["bob"], 5))
        assert chain.transaction(mined.hash) == (chain.head, mined)
        assert chain.transaction(b"\0" * 32) is None

    def test_that_reverts_is_mined_and_paid(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        call = load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", bytes(32), 5)
        raw = transfer(chain, people["mallory"], people["bob"], 0, to=address_bytes(REGISTRY), data=call, gas=90_000)
        mined = chain.send_raw_transaction(raw)
        assert (mined.succeeded, mined.logs, mined.created) == (False, (), None)
        assert chain.nonce(people["mallory"].address) == 1

    def test_wallet_refuses_to_send_what_would_revert(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        call = load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", bytes(32), 5)
        with pytest.raises(Reverted, match="not authorised"):
            send(chain, people["mallory"], REGISTRY, call)
        assert chain.nonce(people["mallory"].address) == 0

    def test_creation_address_is_foretold(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        carol = people["carol"]
        expected = created_address(carol.address, 0)
        assert deploy(chain, carol, CLOCK_CODE) == address_bytes(expected)
        assert chain.code(expected) == CLOCK_CODE

    def test_creation_address_of_the_yellow_paper_formula(self) -> None:
        sender = EthAddress("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
        assert created_address(sender, 0) == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
        assert created_address(sender, 1) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"


class TestRefusals:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\0",
            b"\2",
            b"\x7f" + bytes(50),
            b"\xc0",
            b"\xc1\x80",
            b"\2\xc0",
            b"\xf8\xff",
            bytes(200),
            b"\xff" * 99,
        ],
        ids=lambda raw: raw[:3].hex() or "empty",
    )
    def test_undecodable(self, chain: DevChain, raw: bytes) -> None:
        with pytest.raises(TransactionRefused):
            chain.send_raw_transaction(raw)
        assert chain.head.number == 0

    def test_oversized(self, chain: DevChain) -> None:
        with pytest.raises(TransactionRefused, match="oversized"):
            chain.send_raw_transaction(bytes(MAX_TRANSACTION_BYTES + 1))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"nonce": 1}, "nonce too high: next nonce 0, tx nonce 1"),
            ({"chain_id": 1}, "chain id"),
            ({"value": ACCOUNT_BALANCE}, "insufficient funds"),
            ({"gas": 20_999}, "intrinsic gas too low"),
            ({"gas": BLOCK_GAS_LIMIT + 1}, "exceeds block gas limit"),
            ({"max_fee_per_gas": 1, "max_priority_fee_per_gas": 1}, "base fee"),
            ({"max_priority_fee_per_gas": 11 * GWEI}, "priority fee"),
        ],
    )
    def test_unminable(
        self, chain: DevChain, people: Mapping[str, Account], changes: dict[str, Any], reason: str
    ) -> None:
        raw = transfer(chain, people["alice"], people["bob"], changes.pop("value", 1), **changes)
        with pytest.raises(TransactionRefused, match=reason):
            chain.send_raw_transaction(raw)
        assert chain.head.number == 0

    def test_the_same_transaction_twice(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        raw = transfer(chain, people["alice"], people["bob"], 1)
        chain.send_raw_transaction(raw)
        with pytest.raises(TransactionRefused, match="nonce too low"):
            chain.send_raw_transaction(raw)

    def test_legacy_of_another_chain(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        unsigned = LondonUnsignedLegacyTransaction(0, 3 * GWEI, 21_000, address_bytes(people["bob"].address), 5, b"")
        raw = unsigned.as_signed_transaction(PrivateKey(people["alice"].key), chain_id=1).encode()
        with pytest.raises(TransactionRefused, match="chain id"):
            chain.send_raw_transaction(raw)

    def test_chain_goes_on_after_a_refusal(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        with pytest.raises(TransactionRefused):
            chain.send_raw_transaction(transfer(chain, people["alice"], people["bob"], 1, gas=20_999))
        assert chain.send_raw_transaction(transfer(chain, people["alice"], people["bob"], 1)).succeeded
