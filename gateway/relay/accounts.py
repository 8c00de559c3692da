"""Accounts of native people: made for a profile that ENS publishes and that names this relay, kept by address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

import structlog

from gateway.custody.directory import Directory
from gateway.dm3.canonical import JsonObject, parse_json, stringify
from gateway.dm3.profile import MAX_PROFILE_BYTES, SignedProfile
from gateway.dm3.sender_rules import RecipientRules
from gateway.ens.profiles import ResolvedProfile
from gateway.errors import BadProfile, InvalidInput, LimitExceeded, NotFound, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.emptying import empty_mailbox, empty_mailbox_job
from gateway.relay.rulebook import Rulebook, read_rules, write_rules
from gateway.store import Store
from gateway.store.accounts import Account, AccountOf, CloseAccount, PutAccount, SetRules
from gateway.store.jobs import Enqueue
from gateway.store.usage import MailboxUsage

log = structlog.get_logger(__name__)

CHANGES_AT_ONCE = 10
"""Times that a change of rules is tried when other nodes change them at the same moment."""


class Accounts:
    """Registration, rules, export and removal."""

    def __init__(
        self, *, store: Store, directory: Directory, rulebook: Rulebook, service_name: EnsName, clock: Clock
    ) -> None:
        self._store = store
        self._directory = directory
        self._rulebook = rulebook
        self._service_name = service_name
        self._clock = clock
        self._changing: WeakValueDictionary[EthAddress, asyncio.Lock] = WeakValueDictionary()

    async def register(self, name: EnsName, signed: SignedProfile) -> None:
        """Make the account, or note its newer profile.

        ENS decides: a profile that is not what the name publishes now is refused, so that an old one, which is public
        for ever, can neither register nor roll keys back. Raises BadProfile, UnknownName, InvalidInput when the
        profile does not name this relay, and the errors of the look-up.
        """
        published = await self._directory.user(name, fresh=True)
        if published.signed != signed:
            raise BadProfile(f"this is not the profile that {name} publishes")
        if not await self._put(published):
            raise InvalidInput(f"the profile of {name} does not name {self._service_name}")

    async def logged_in(self, name: EnsName) -> None:
        """Note an account for whoever proved the key of a profile that names this relay, unless they closed it."""
        published = await self._directory.user(name)
        if not (await self._rulebook.of(published.address)).closed:
            await self._put(published)

    async def of(self, address: EthAddress) -> Account:
        """The account; NotFound when there is none."""
        state = await self._store.read(AccountOf(address))
        if state.account is None:
            raise NotFound(f"{address} has no account here")
        return state.account

    async def change_rules(
        self, address: EthAddress, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Replace the rules by `change(rules)`, whatever others change at the same time; the new rules.

        Raises NotFound without an account, InvalidInput for rules that are too many.
        """
        # One after the other at this node; another node that was quicker is noticed by what it left.
        async with self._changing.setdefault(address, asyncio.Lock()):
            for _ in range(CHANGES_AT_ONCE):
                before = (await self.of(address)).rules
                rules = change(read_rules(before))
                changed = await self._store.commit(SetRules(address, before, write_rules(rules), self._clock()))
                self._rulebook.forget(address)
                if changed:
                    return rules
        raise LimitExceeded("the rules are being changed by somebody else")

    async def close(self, address: EthAddress) -> None:
        """Remove the account, its sessions and all mail that waits. Mail that comes later is refused."""
        emptying = Enqueue(empty_mailbox_job(address, self._clock()))
        await self._store.commit_all(CloseAccount(address), emptying)
        self._rulebook.forget(address)
        await empty_mailbox(self._store, address)
        log.info("account.closed")

    async def export(self, address: EthAddress) -> JsonObject:
        """All that is kept about an account but the mail, which its owner reads from the mailbox."""
        account = await self.of(address)
        usage = await self._store.read(MailboxUsage(address))
        return {
            "address": account.address,
            "name": account.name,
            "createdAt": account.created_at,
            "updatedAt": account.updated_at,
            "profile": parse_json(account.profile, max_bytes=2 * MAX_PROFILE_BYTES),
            "rules": read_rules(account.rules).to_json(),
            "notifications": account.notify,
            "waiting": {"messages": usage.messages, "bytes": usage.bytes},
        }

    async def _put(self, published: ResolvedProfile) -> bool:
        """Whether the profile names this relay, and then the account is there."""
        if not published.uses(self._service_name):
            try:
                published = await self._directory.user(published.name, fresh=True)
            except UnknownName:
                return False
        if not published.uses(self._service_name):
            return False
        text = stringify(published.signed.to_json())
        new = await self._store.commit(PutAccount(published.address, published.name, text, self._clock()))
        self._rulebook.forget(published.address)
        if new:
            log.info("account.created")
        return True
