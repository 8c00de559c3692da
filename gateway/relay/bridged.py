"""What bridged people decide about their mail at this relay: the rules and reports that native people have by REST."""

from __future__ import annotations

from collections.abc import Callable

from gateway.custody.directory import Directory
from gateway.dm3.canonical import stringify
from gateway.dm3.eth import parse_address
from gateway.dm3.sender_rules import RecipientRules
from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.accounts import Accounts
from gateway.relay.reports import Reports
from gateway.relay.rulebook import Rulebook
from gateway.store import Store
from gateway.store.accounts import AccountOf, PutAccount


class BridgedRecipients:
    """Rules are kept in accounts, by address; a bridged person gets one with the first rule."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        accounts: Accounts,
        rulebook: Rulebook,
        reports: Reports,
        stake_contract: str | None,
        clock: Clock,
    ) -> None:
        """`stake_contract`: address of the contract whose deposits a rule may ask for; None when there is none."""
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._rulebook = rulebook
        self._reports = reports
        self._stake_contract = None if stake_contract is None else parse_address(stake_contract)
        self._clock = clock

    @property
    def stake_contract(self) -> EthAddress | None:
        """Whose deposits a rule may ask for."""
        return self._stake_contract

    async def rules_of(self, address: EthAddress) -> RecipientRules:
        """What the owner of `address` asks of senders; raises Unavailable."""
        return (await self._rulebook.of(address)).rules

    async def change_rules(
        self, name: EnsName, address: EthAddress, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Replace the rules of the bridged person with this sub-name and address; in force when it returns.

        Raises what `change` raises, InvalidInput for rules that are too many, LimitExceeded, Unavailable.
        """
        if (await self._store.look_up(AccountOf(address))).account is None:
            published = await self._directory.user(name)
            profile = stringify(published.signed.to_json())
            await self._store.commit(PutAccount(address, name, profile, self._clock()))
        return await self._accounts.change_rules(address, change)

    def forget(self, address: EthAddress) -> None:
        """The account of this address was changed or removed."""
        self._rulebook.forget(address)

    async def report_spam(self, reporter: EnsName, sender: EnsName, holder: EthAddress, envelope: EnvelopeId) -> bool:
        """Pass on that an envelope of a verified sender is spam, once; False when nobody takes reports here.

        `holder` is the address whose profile signed the envelope.
        """
        return await self._reports.pass_on(reporter, sender, holder, envelope)
