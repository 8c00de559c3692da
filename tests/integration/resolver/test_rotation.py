"""Changing the resolver's key: each step on a real chain, broken off anywhere, and a drill under load."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.chain.running import RunningChain, running_chain
from gateway.dm3.eth import address_bytes
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.transactions import Wallet
from gateway.errors import ConfigError, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.operations.rotation import SIGNERS, Report, Rotation
from gateway.resolver.key_file import KeyFile
from gateway.resolver.signer import create_signer, load_signer
from tests.support.house import PARENT, House, running_house
from tests.support.rotation import TTL as TTL_SETTING
from tests.support.rotation import rotate

TTL, SKEW = 10, 5.0
WHOLE = TTL + SKEW + 2


class Desk:
    """An installation's key, the contracts that know it, and a clock in our hands."""

    def __init__(self, folder: Path, chain: RunningChain, contracts: list[EthAddress], rotation: Rotation) -> None:
        self.folder = folder
        self.chain = chain
        self.contracts = contracts
        self.rotation = rotation
        self.now = 1_800_000_000.0

    async def listed(self, signer: EthAddress) -> list[bool]:
        data = SIGNERS + bytes(12) + address_bytes(signer)
        answers = [await self.rotation.chain.eth_call(each, data) for each in self.contracts]
        return [bool(int.from_bytes(each, "big")) for each in answers]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "resolver.key"
    first = create_signer(path)
    async with running_chain() as chain, GuardedClient(allow_private=True, timeout=30) as client:
        owner = chain.accounts["parent-owner"]
        contracts = [
            await asyncio.to_thread(chain.ens.deploy_offchain_resolver, ["https://x/{data}"], [first.address], each)
            for each in (owner.address, owner.address)
        ]
        reader = Chain((chain.url,), chain.chain_id, timeout=30)

        async def signing() -> EthAddress:
            return load_signer(path).address

        rotation = Rotation(
            path=path,
            contracts=contracts,
            chain=reader,
            block="finalized",
            ttl=TTL,
            signing=signing,
            send=Wallet(owner.key, chain.url, chain.chain_id, client).send,
            skew=SKEW,
            clock=lambda: found.now,
        )
        found = Desk(tmp_path, chain, contracts, rotation)
        yield found
        await reader.close()


async def test_the_steps_in_order(desk: Desk) -> None:
    first = load_signer(desk.rotation.path).address
    report = await desk.rotation.advance()
    fresh = load_signer(desk.rotation.next_path).address
    assert [line.split()[0] for line in report.done] == ["Made", "Sent", "Sent"]
    assert desk.files() == ["resolver.key", "resolver.key.next"]
    assert load_signer(desk.rotation.path).address == first
    assert await desk.listed(first) == await desk.listed(fresh) == [True, True]

    report = await desk.rotation.advance()
    assert report.done[0].startswith("Switched")
    assert report.seconds == WHOLE
    assert desk.files() == ["resolver.key", "resolver.key.old"]
    assert load_signer(desk.rotation.path).address == fresh
    assert await desk.listed(first) == [True, True]

    desk.now += WHOLE - 1
    report = await desk.rotation.advance()
    assert (report.done, report.seconds) == ((), 1)
    assert await desk.listed(first) == [True, True]

    desk.now += 1
    report = await desk.rotation.advance()
    assert [line.split()[0] for line in report.done] == ["Sent", "Sent"]
    assert await desk.listed(first) == [False, False]
    assert await desk.listed(fresh) == [True, True]
    assert load_signer(desk.rotation.old_path).address == first

    report = await desk.rotation.advance()
    assert report.finished
    assert desk.files() == ["resolver.key"]
    assert load_signer(desk.rotation.path).address == fresh


async def test_without_the_owners_key_transactions_are_told_and_awaited(desk: Desk) -> None:
    asking = replace(desk.rotation, send=None)
    report = await asking.advance()
    assert [each.to for each in report.to_send] == desk.contracts
    fresh = load_signer(desk.rotation.next_path).address
    again = await asking.advance()
    assert (again.to_send, again.done) == (report.to_send, ())
    assert await desk.listed(fresh) == [False, False]
    await asyncio.to_thread(desk.chain.ens.add_signer, desk.contracts[0], fresh)
    (left,) = (await asking.advance()).to_send
    assert left.to == desk.contracts[1]
    await asyncio.to_thread(desk.chain.ens.add_signer, desk.contracts[1], fresh)
    assert (await asking.advance()).done[0].startswith("Switched")


async def test_a_switch_that_was_broken_off_is_finished(desk: Desk) -> None:
    await desk.rotation.advance()
    first = load_signer(desk.rotation.path).address
    os.link(desk.rotation.path, desk.rotation.old_path)  # as if it had ended here
    assert (await desk.rotation.advance()).done[0].startswith("Switched")
    assert load_signer(desk.rotation.old_path).address == first
    assert desk.files() == ["resolver.key", "resolver.key.old"]
    # The waiting time is that of the switch and not of the first attempt.
    assert (await desk.rotation.advance()).seconds == WHOLE


async def test_nothing_is_removed_while_the_gateway_signs_with_the_old_key(desk: Desk) -> None:
    """A node that cannot read the new file goes on with the old key, which clients must still believe."""
    first = load_signer(desk.rotation.path).address

    async def signing() -> EthAddress:
        return first

    stubborn = replace(desk.rotation, signing=signing)
    await stubborn.advance()
    await stubborn.advance()
    desk.now += WHOLE
    with pytest.raises(InvalidInput, match="nothing was removed"):
        await stubborn.advance()
    assert await desk.listed(first) == [True, True]
    assert desk.files() == ["resolver.key", "resolver.key.old"]


async def test_nothing_is_removed_when_the_new_signer_is_gone(desk: Desk) -> None:
    await desk.rotation.advance()
    await desk.rotation.advance()
    fresh = load_signer(desk.rotation.path).address
    await asyncio.to_thread(desk.chain.ens.remove_signer, desk.contracts[1], fresh)
    desk.now += WHOLE
    with pytest.raises(InvalidInput, match="the old key stays"):
        await desk.rotation.advance()
    assert desk.files() == ["resolver.key", "resolver.key.old"]


async def test_a_stranger_cannot_send(desk: Desk) -> None:
    async with GuardedClient(allow_private=True, timeout=30) as client:
        stranger = Wallet(desk.chain.accounts["mallory"].key, desk.chain.url, desk.chain.chain_id, client)
        with pytest.raises(InvalidInput, match="eth_estimateGas"):
            await replace(desk.rotation, send=stranger.send).advance()
    # The key that was made is not made again.
    fresh = load_signer(desk.rotation.next_path).address
    await desk.rotation.advance()
    assert await desk.listed(fresh) == [True, True]


async def test_one_at_a_time(desk: Desk) -> None:
    found = await asyncio.gather(desk.rotation.advance(), desk.rotation.advance(), return_exceptions=True)
    assert sum(isinstance(each, Report) for each in found) == 1
    assert sum(isinstance(each, ConfigError) for each in found) == 1


async def test_a_contract_that_lists_no_signers(desk: Desk) -> None:
    wrong = replace(desk.rotation, contracts=[desk.chain.registry])
    with pytest.raises(InvalidInput, match="no contract that lists signers"):
        await wrong.advance()
    with pytest.raises(ConfigError, match="resolver_addresses"):
        await replace(desk.rotation, contracts=[]).advance()


# --- the drill -------------------------------------------------------------------------------------------------


async def look_up(house: House, found: dict[str, Any], stop: asyncio.Event) -> None:
    """Ask through the contract until told to stop, and count."""
    while not stop.is_set():
        try:
            text = await house.ens.text(EnsName(f"ds.{PARENT}"), "network.dm3.deliveryService")
            assert text is not None
            assert text.startswith("data:application/json")
            found["answered"] += 1
        except Exception as error:
            found["failed"].append(repr(error))


@pytest.mark.attack(40)
async def test_no_look_up_fails_during_a_rotation(tmp_path: Path) -> None:
    """The command, run in a process of its own until it is finished, against a gateway that serves all the while."""
    async with running_house(tmp_path, overrides=TTL_SETTING) as house:
        path = house.settings.ens.signer_key_file
        before = load_signer(path).address
        found: dict[str, Any] = {"answered": 0, "failed": []}
        stop = asyncio.Event()
        clients = [asyncio.create_task(look_up(house, found, stop)) for _ in range(3)]
        said = await rotate(house)
        during = found["answered"]
        # The last answers of the old key would show here.
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*clients)
        assert [line.split()[0] for line in said.splitlines()] == [
            *("Made", "Sent", "Then", "Switched", "Wait", "Sent", "Then", "Deleted", "Finished.")
        ]
        assert found["failed"] == []
        assert during > 50
        assert found["answered"] > during
        after = load_signer(path).address
        assert after != before
        assert [each for each in os.listdir(tmp_path) if each.startswith("resolver.key")] == ["resolver.key"]
        reader = Chain((house.chain.url,), house.chain.chain_id, timeout=30)
        (contract,) = map(EthAddress, house.settings.ens.resolver_addresses)
        listed = [
            await reader.eth_call(contract, SIGNERS + bytes(12) + address_bytes(each)) for each in (before, after)
        ]
        await reader.close()
        assert [int.from_bytes(each, "big") for each in listed] == [0, 1]


async def test_a_key_of_the_service_is_still_the_services(tmp_path: Path) -> None:
    """The next key has owner and mode of the present one, or a command of root would stop the signing."""
    path = tmp_path / "resolver.key"
    signer = KeyFile(path, create_signer(path))
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    async with running_chain() as chain:
        contract = await asyncio.to_thread(chain.ens.deploy_offchain_resolver, ["https://x/{data}"], [signer.address])
        reader = Chain((chain.url,), chain.chain_id, timeout=30)

        async def signing() -> EthAddress:
            return signer.address

        await Rotation(path, [contract], reader, "latest", TTL, signing).advance()
        await reader.close()
    made = path.with_name("resolver.key.next").stat()
    assert made.st_mode & 0o777 == 0o600
    assert (made.st_uid, made.st_gid) == (path.stat().st_uid, path.stat().st_gid)
