"""Whom the recipients of a mail stand for: ENS names with their tags, the operator, the desk of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters.email import replies
from adapters.email.addresses import Special, local_target, resolve_alias, split_address, split_tag
from adapters.email.automatic import AUTOMATIC_MARK
from adapters.email.charsets import one_line
from adapters.email.replies import MailRefused
from gateway.sdk import AdapterContext, EnsName, InvalidInput, Outgoing, UnknownName
from gateway.sdk.addresses import normalise

_MAX_TAG = 64


@dataclass(frozen=True, slots=True)
class Sorted:
    """The recipients of one mail."""

    names: tuple[EnsName, ...]
    """In the order of their addresses, maybe some of them twice."""
    tags: Mapping[EnsName, tuple[str, ...]]
    """What stood behind the plus sign (RFC 5233) in addresses of a name."""
    control: bool
    """Whether one of them is ``control@``."""


class Addressees:
    """Reads addresses under our domain."""

    def __init__(self, domain: str, operator: str | None, ctx: AdapterContext) -> None:
        self._domain = domain
        self._operator = operator
        self._ctx = ctx

    def local_part(self, address: str) -> str:
        """Of an address that must be ours; else MailRefused."""
        mailbox = split_address(address)
        if mailbox.canonical_domain() != self._domain:
            raise MailRefused(replies.NO_RELAY)
        return mailbox.local

    def special(self, address: str) -> Special | None:
        """Which mailbox of the gateway an address is; None for that of a name, of nobody, or of another domain."""
        try:
            target = local_target(self.local_part(address))
        except (MailRefused, UnknownName, InvalidInput):
            return None
        return target if isinstance(target, Special) else None

    def is_operator(self, address: str) -> bool:
        """Whether everybody may write there, because somebody reads it."""
        return self._operator is not None and self.special(address) is Special.OPERATOR

    async def name(self, address: str) -> EnsName:
        """Who gets the mail; raises MailRefused, UnknownName, and what the context raises."""
        target = local_target(self.local_part(address))
        if target is Special.OPERATOR:
            if self._operator is None:
                raise MailRefused(replies.NO_OPERATOR)
            return normalise(self._operator)
        if isinstance(target, Special):
            raise MailRefused(replies.BOUNCE_ONLY)
        return await resolve_alias(target, self._ctx)

    async def reachable(self, address: str) -> EnsName:
        """As `name`, for somebody whom mail can reach: what would go out as mail again is refused (MailRefused).

        Two mailboxes that forward to each other's names would make a loop of it.
        """
        name = await self.name(address)
        person = await self._ctx.person_named(name)
        given = name.endswith(f".{self._ctx.network}.{self._ctx.parent}")
        if given or (person is not None and person.network == self._ctx.network and person.name == name):
            raise MailRefused(replies.MAIL_TO_MAIL)
        return name

    async def sort(self, addresses: tuple[str, ...]) -> Sorted:
        """All recipients of a mail; raises as `name` does."""
        names: list[EnsName] = []
        tags: dict[EnsName, tuple[str, ...]] = {}
        control = False
        for address in addresses:
            if self.special(address) is Special.CONTROL:
                control = True
                continue
            name = await self.name(address)
            names.append(name)
            tag = one_line(split_tag(self.local_part(address))[1], _MAX_TAG)
            if tag and tag not in tags.get(name, ()):
                tags[name] = (*tags.get(name, ()), tag)
        return Sorted(tuple(names), tags, control)


def tagged(outgoing: Outgoing, tags: tuple[str, ...]) -> Outgoing:
    """The message with its tags in a line above the text: DM3 has no other place for what people sort mail by."""
    if not tags:
        return outgoing
    line = f"To: {', '.join(f'+{tag}' for tag in tags)}"
    mark = AUTOMATIC_MARK if outgoing.text.startswith(AUTOMATIC_MARK) else ""
    return replace(outgoing, text=f"{mark}{line}\n\n{outgoing.text.removeprefix(mark)}".rstrip())
