"""Whether a sender may write to a recipient: lists, token-based rules, message requests (DM3 spam protection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from gateway.dm3.sender_rules import RecipientRules, SenderRules
from gateway.ens.holdings import Holdings
from gateway.errors import ChainUnavailable, Spam, UnknownRecipient
from gateway.ids import EnsName, EthAddress
from gateway.relay.recipients import Recipient
from gateway.relay.rulebook import Rulebook
from gateway.store.mailbox import Folder
from gateway.store.usage import UNVERIFIED, Quota, Usage

log = structlog.get_logger(__name__)

WhenChainIsDown = Literal["quarantine", "refuse"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom an envelope comes from; `address` is set when the signature was checked against that owner's profile."""

    name: EnsName
    address: EthAddress | None

    @property
    def verified(self) -> bool:
        """Whether the name's profile signed the envelope."""
        return self.address is not None

    @property
    def holder(self) -> str:
        """Whose quota the envelope is charged to."""
        return self.address or UNVERIFIED


@dataclass(frozen=True, slots=True)
class Admission:
    """Where an admitted envelope goes, and what may wait there."""

    folder: Folder
    quota: Quota
    notify: bool
    """Whether the recipient wants to be told that mail waits."""


class Gatekeeper:
    """Judges by the recipient's decisions. Rules look at verified senders only: a claimed name proves nothing."""

    def __init__(
        self, *, rulebook: Rulebook, holdings: Holdings, quota: Quota, when_chain_is_down: WhenChainIsDown
    ) -> None:
        self._rulebook = rulebook
        self._holdings = holdings
        self._quota = quota
        self._when_chain_is_down = when_chain_is_down

    async def admit(self, recipient: Recipient, sender: Sender) -> Admission:
        """Where the envelope goes.

        Raises Spam with the reason, UnknownRecipient for a closed account, and ChainUnavailable when a rule cannot
        be checked and the operator wants such mail refused.
        """
        decisions = await self._rulebook.of(recipient.address)
        if decisions.closed and recipient.identity is None:
            raise UnknownRecipient(f"{recipient.name} closed the account here")
        rules = decisions.rules
        return Admission(await self._folder(recipient, sender, rules), self._quota_of(rules), decisions.notify)

    async def _folder(self, recipient: Recipient, sender: Sender, rules: RecipientRules) -> Folder:
        if sender.name in rules.block:
            raise Spam("the recipient has blocked this sender")
        if sender.verified and sender.name in rules.allow:
            return Folder.INBOX
        if rules.public.asks_the_chain and not await self._meets(sender, rules.public):
            # A bridged person has no way to look through quarantine.
            if self._when_chain_is_down == "refuse" or recipient.identity is not None:
                raise ChainUnavailable("the recipient's rules cannot be checked now")
            return Folder.REQUESTS
        if rules.public.message_requests and recipient.identity is None:
            return Folder.REQUESTS
        return Folder.INBOX

    async def _meets(self, sender: Sender, rules: SenderRules) -> bool:
        """False when nobody can say now; raises Spam when the rules are not met."""
        if sender.address is None:
            raise Spam("the recipient's rules need a sender whose signature can be verified")
        try:
            unmet = await self._holdings.unmet(sender.address, rules)
        except ChainUnavailable as error:
            log.warning("rules.not_checked", detail=error.detail)
            return False
        if unmet:
            raise Spam("; ".join(each.sentence for each in unmet))
        return True

    def _quota_of(self, rules: RecipientRules) -> Quota:
        most = rules.max_waiting_per_sender
        if not most:
            return self._quota
        sender = self._quota.sender
        return Quota(self._quota.mailbox, Usage(min(most, sender.messages), sender.bytes))
