"""Changing the key that signs the resolver's answers, without one look-up that the contract refuses.

Where a rotation stands is read from the files beside the key and from the contracts, never from memory of its own: each
call of ``advance`` does the one thing that comes next and says so, and may be repeated or broken off anywhere.

    files                         contracts            what comes next
    key                           -                    make key.next, then as below
    key, key.next                 next is not listed   addSigner(next)
    key, key.next                 next is listed       key -> key.old, key.next -> key
    key, key.old                  old is listed        after the life of the last answers: removeSigner(old)
    key, key.old                  old is not listed    delete key.old: finished
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.dm3.eth import address_bytes, checksum, keccak256, parse_address
from gateway.ens.abi import address_word, word
from gateway.ens.chain import CallReverted, Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.transactions import Wallet
from gateway.errors import ConfigError, InvalidInput
from gateway.ids import EthAddress
from gateway.operations.answer_probe import signing_address
from gateway.operations.installation import parent_name
from gateway.operations.key_files import alone, same_owner, sync
from gateway.resolver.key_file import POLL
from gateway.resolver.signer import create_signer, load_signer
from gateway.settings import Settings

SKEW: Final = 60.0
"""Seconds by which clocks of clients, nodes and blocks may differ."""
SIGNERS: Final = keccak256(b"signers(address)")[:4]
ADD: Final = keccak256(b"addSigner(address)")[:4]
REMOVE: Final = keccak256(b"removeSigner(address)")[:4]

Send = Callable[[EthAddress, bytes], Awaitable[str]]
"""Sends the owner's transaction to a contract and waits for its block; gives its hash."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the owner of a contract has to send."""

    to: EthAddress
    data: bytes
    meaning: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one call did and what comes next, in sentences; transactions that wait for the owner."""

    done: tuple[str, ...]
    coming: str
    seconds: float = 0
    """Until then there is nothing to do."""
    to_send: tuple[Transaction, ...] = ()
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation of the key in ``path``, for the signers of ``contracts``.

    A signer counts as listed when it is at block ``block``, which should be one that stays. ``send`` is None when the
    owner's transactions are only told. ``signing`` asks the running gateway whose signatures it gives now. ``ttl``:
    seconds for which answers are signed.
    """

    path: Path
    contracts: Sequence[EthAddress]
    chain: Chain
    block: str
    ttl: int
    signing: Callable[[], Awaitable[EthAddress]]
    send: Send | None = None
    skew: float = SKEW
    clock: Callable[[], float] = field(default=time.time)

    @property
    def next_path(self) -> Path:
        """The coming key."""
        return self.path.with_name(self.path.name + ".next")

    @property
    def old_path(self) -> Path:
        """The key that was; its time of change is when it was replaced."""
        return self.path.with_name(self.path.name + ".old")

    async def advance(self) -> Report:
        """Do what comes next. Raises ConfigError for files that cannot be used, ChainUnavailable, InvalidInput."""
        if not self.contracts:
            raise ConfigError("ens.resolver_addresses: names no contract whose signers could be changed")
        with alone(self.path):
            if self.next_path.exists():
                return await self._add_or_switch([])
            if self.old_path.exists():
                return await self._remove_or_finish()
            return await self._begin()

    async def _begin(self) -> Report:
        load_signer(self.path)
        made = create_signer(self.next_path)
        same_owner(self.next_path, self.path)
        sync(self.path.parent)
        return await self._add_or_switch([f"Made the next key, {checksum(made.address)}, in {self.next_path}."])

    async def _add_or_switch(self, done: list[str]) -> Report:
        fresh = load_signer(self.next_path).address
        if await self._all_list(fresh, self.block):
            return self._switch(fresh, done)
        missing = [each for each in self.contracts if not await self._lists(each, fresh, "latest")]
        if not missing:
            return Report(tuple(done), f"Wait until block {self.block!r} has the new signer; then run this again.")
        changes = [Transaction(to, ADD + _argument(fresh), f"addSigner({checksum(fresh)})") for to in missing]
        return await self._change(
            changes, done, "Then run this again: it goes on when the contract has the new signer."
        )

    def _switch(self, fresh: EthAddress, done: list[str]) -> Report:
        current = load_signer(self.path).address
        if not self.old_path.exists():
            os.link(self.path, self.old_path)
        elif load_signer(self.old_path).address != current:
            raise ConfigError(f"{self.old_path}: holds a key of an earlier rotation, which has not been finished")
        # The waiting time counts from here.
        now = self.clock()
        os.utime(self.old_path, (now, now))
        sync(self.path.parent)
        os.replace(self.next_path, self.path)
        sync(self.path.parent)
        done.append(
            f"Switched from {checksum(current)} to {checksum(fresh)}; a running gateway follows within seconds."
        )
        return Report(tuple(done), "Then run this again: answers of the old key may still be valid.", self._wait)

    async def _remove_or_finish(self) -> Report:
        current, old = load_signer(self.path).address, load_signer(self.old_path).address
        if current == old:
            raise ConfigError(f"{self.old_path}: is the present key; delete it to begin a rotation")
        if not await self._all_list(current, self.block):
            raise InvalidInput(f"a contract does not list {checksum(current)}, so the old key stays as it is")
        listing = [each for each in self.contracts if await self._lists(each, old, "latest")]
        if listing:
            return await self._remove(current, old, listing)
        if not await self._none_lists(old, self.block):
            return Report((), f"Wait until block {self.block!r} is without the old signer; then run this again.")
        self.old_path.unlink()
        sync(self.path.parent)
        return Report((f"Deleted {self.old_path}: no contract lists {checksum(old)}.",), "Finished.", finished=True)

    async def _remove(self, current: EthAddress, old: EthAddress, listing: Sequence[EthAddress]) -> Report:
        left = self.old_path.stat().st_mtime + self._wait - self.clock()
        if left > 0:
            return Report((), "Then run this again: answers of the old key may still be valid.", left)
        signing = await self.signing()
        if signing != current:
            raise InvalidInput(
                f"the gateway signs with {checksum(signing)} and not with {checksum(current)}, so nothing was removed: "
                f"can it read {self.path}?"
            )
        changes = [Transaction(to, REMOVE + _argument(old), f"removeSigner({checksum(old)})") for to in listing]
        return await self._change(changes, [], "Then run this again: it deletes the old key.")

    async def _change(self, changes: Sequence[Transaction], done: list[str], coming: str) -> Report:
        if self.send is None:
            return Report(tuple(done), f"Let the contract's owner send what is below. {coming}", to_send=tuple(changes))
        for change in changes:
            sent = await self.send(change.to, change.data)
            done.append(f"Sent {change.meaning} to {checksum(change.to)}: transaction {sent}.")
        return Report(tuple(done), coming)

    @property
    def _wait(self) -> float:
        return self.ttl + self.skew + 2 * POLL

    async def _all_list(self, signer: EthAddress, block: str) -> bool:
        return all([await self._lists(each, signer, block) for each in self.contracts])

    async def _none_lists(self, signer: EthAddress, block: str) -> bool:
        return not any([await self._lists(each, signer, block) for each in self.contracts])

    async def _lists(self, contract: EthAddress, signer: EthAddress, block: str) -> bool:
        try:
            answer = await self.chain.eth_call(contract, SIGNERS + _argument(signer), block)
        except CallReverted:
            answer = b""
        if answer not in (word(0), word(1)):
            raise InvalidInput(f"{checksum(contract)} is no contract that lists signers")
        return answer == word(1)


@asynccontextmanager
async def opened_rotation(settings: Settings, owner_key: Path | None, url: str, skew: float) -> AsyncIterator[Rotation]:
    """A rotation of an installation's key; the gateway is asked at ``url`` whose signatures it gives.

    Raises ConfigError when the installation signs otherwise than with a key file, or ``owner_key`` holds no key.
    """
    if settings.ens.signer_command:
        raise ConfigError("ens.signer_command: this installation signs with a command; its key is rotated where it is")
    contracts = tuple(map(parse_address, settings.ens.resolver_addresses))
    parent = parent_name(settings.ens.parent)
    chain = Chain(settings.chain.rpc_urls, settings.chain.chain_id, quorum=settings.chain.quorum)
    send = None
    # The operator's own servers, which may be on this machine.
    async with GuardedClient(allow_private=True, timeout=30) as client:
        if owner_key is not None:
            key = await asyncio.to_thread(load_signer, owner_key)
            send = Wallet(key.key, settings.chain.rpc_urls[0], settings.chain.chain_id, client).send
        try:
            yield Rotation(
                path=settings.ens.signer_key_file.resolve(),
                contracts=contracts,
                chain=chain,
                block=settings.chain.decision_block,
                ttl=settings.ens.answer_ttl,
                signing=lambda: signing_address(client, url, contracts[0], parent),
                send=send,
                skew=skew,
            )
        finally:
            await chain.close()


def _argument(address: EthAddress) -> bytes:
    return address_word(address_bytes(address))
