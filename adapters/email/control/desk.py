"""The desk behind ``control@``: takes orders, carries them out once, and answers by mail until somebody takes it.

An order is written down before its mail gets 250 and carried out after that, by the lane of its sender: what cannot be
done or sent now is tried again, over restarts too, instead of 451 for a mail that may have done half of its work. What
each line was answered is written down before the next one begins; a crash repeats one line at most, and each command
may be repeated: it says how something is to be from then on. The answer has one Message-ID at all tries, and is
sent again only when this node dies between the other server's 250 and its own note of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from adapters.email import replies
from adapters.email.authentication.decision import Assurance
from adapters.email.control.answer import Said, answer_mail, from_text, to_text
from adapters.email.control.confirmation import WORDS, Confirmation
from adapters.email.control.order import Order, order_of, read_order
from adapters.email.parse import ParsedMail
from adapters.email.render import RenderedMail, address_of, alias_of
from adapters.email.replies import MailRefused
from adapters.email.returnpath import DAY_MS
from adapters.email.sent import GIVE_UP_MS, pause_after
from adapters.email.session import Accepted, Result
from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    EnsName,
    EventOutcome,
    Handled,
    InvalidInput,
    NativeEvent,
    Parked,
    Person,
    Rate,
    Rejected,
    Retry,
    Unavailable,
    Value,
)
from gateway.sdk.commands import ALL, Answer, Commands, find

log = structlog.get_logger(__name__)

KIND: Final = "control"
"""Values: what an order was answered, by the day on which it came and its key."""
DONE: Final = "done"
DAYS_KEPT: Final = 8
CONSENT: Final = "answer this mail within a day, with the word `yes` in its first line"
NOTHING_TO_CONFIRM: Final = (
    "There is nothing that this confirms, or it was asked more than a day ago. "
    "Ask again, and answer the mail that comes."
)
_KINDS_OF_PEOPLE: Final = ("sent", "unsubscribe")
"""Values that name people: gone when they are deleted."""
_AT_ONCE: Final = 500


class Sends(Protocol):
    """Sends mail that nobody need know the fate of."""

    async def send_answer(self, mail: RenderedMail, recipient: CanonicalId) -> Result:
        """One try, signed, from the null sender: what answers automatically must not cause bounces (RFC 3834)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """How far an order has come."""

    said: tuple[Said, ...] = ()
    tries: int = 0
    done: bool = False

    def to_text(self) -> str:
        return DONE if self.done else f"{self.tries} {to_text(self.said)}"


def _kept(text: str | None) -> _Kept:
    if text is None:
        return _Kept()
    if text == DONE:
        return _Kept(done=True)
    tries, _, said = text.partition(" ")
    return _Kept(from_text(said), int(tries))


class Desk:
    """Takes and handles orders."""

    def __init__(self, domain: str, ctx: AdapterContext, mail: Sends, per_hour: int) -> None:
        self._domain = domain
        self._ctx = ctx
        self._mail = mail
        # A clock that counts minutes as if they were seconds: what is per minute is per hour then.
        self._rate = Rate(per_hour, clock=lambda: time.monotonic() / 60)
        self._confirmation = Confirmation(ctx.secret("confirmation"))
        self._commands = Commands(
            ctx.people,
            self._chat,
            parent=ctx.parent,
            public_url=ctx.public_url,
            now_ms=ctx.now_ms,
            consent=CONSENT,
        )

    def admit(self, mail: ParsedMail, assurance: Assurance) -> None:
        """Count an order. Raises MailRefused for one of nobody or of a program, LimitExceeded for one too many.

        Refused and not dropped: nothing of ours answers a program, and whoever runs it hears of the mistake.
        """
        if assurance is Assurance.NONE:
            raise MailRefused(replies.NOT_AUTHENTICATED)
        if mail.automatic:
            raise MailRefused(replies.NO_PROGRAMS)
        self._rate.take(mail.sender)

    async def take(self, mail: ParsedMail) -> None:
        """Write an order down; raises Unavailable and LimitExceeded, when the mail should come again later."""
        order = order_of(mail, self._ctx.now_ms())
        await self._ctx.take((NativeEvent(order.lane, order.key, order.to_bytes()),))

    async def handle(self, event: NativeEvent) -> EventOutcome:
        """Carry an order out and answer it; see `HandlesEvents`."""
        try:
            order = read_order(event.payload)
        except InvalidInput as error:
            return Parked(error.detail)
        return await self._handled(order)

    async def _handled(self, order: Order) -> EventOutcome:
        kept = _kept(await self._ctx.values.get(KIND, _key(order)))
        if kept.done:
            return Handled()
        while len(kept.said) < len(order.lines):
            try:
                said = await self._carry_out(order, order.lines[len(kept.said)])
            except Unavailable as error:
                return Retry(error.detail)
            kept = _Kept((*kept.said, said), kept.tries)
            await self._keep(order, kept)
        return await self._answer(order, kept)

    async def _carry_out(self, order: Order, line: str) -> Said:
        """Do what one line says; raises Unavailable."""
        person = Person(order.sender, order.display_name)
        meant = await self._meant(order, person) if line.lower() in WORDS else _harmless(line)
        if meant is None:
            return Said(line, NOTHING_TO_CONFIRM)
        answer = await self._commands.run(person, meant)
        if answer.deleted:
            await self._forget(order.sender)
        return Said(line, answer.text, answer.file, self._token(order, answer))

    async def _meant(self, order: Order, person: Person) -> str | None:
        """The final command that an order confirms, in full; None when it confirms nothing."""
        for command in ALL:
            # Alone it only asks, and says what would confirm it.
            asked = (await self._commands.run(person, command.name)).confirm if command.final else None
            if asked is not None and self._confirmation.confirms(order.tokens, order.sender, asked, order.at):
                return asked
        return None

    def _token(self, order: Order, answer: Answer) -> str:
        return self._confirmation.token(order.sender, answer.confirm, order.at) if answer.confirm else ""

    async def _answer(self, order: Order, kept: _Kept) -> EventOutcome:
        if order.sender.rpartition("@")[2] == self._domain:
            log.info("control.not_answered", reason="an address of our own")
            return await self._end(order)
        try:
            mail = await asyncio.to_thread(answer_mail, order, kept.said, self._domain)
        except InvalidInput as error:
            log.warning("control.not_answered", reason=error.detail)
            return await self._end(order)
        result = await self._mail.send_answer(mail, order.sender)
        if isinstance(result, Retry) and self._ctx.now_ms() < order.at + GIVE_UP_MS:
            await self._keep(order, _Kept(kept.said, kept.tries + 1))
            return Retry(result.reason, pause_after(kept.tries) if result.after is None else result.after)
        if not isinstance(result, Accepted):
            log.warning("control.not_answered", refused=isinstance(result, Rejected), reason=result.reason)
        return await self._end(order)

    async def _end(self, order: Order) -> Handled:
        await self._ctx.values.put(Value(KIND, _key(order), DONE))
        log.info("control.done", lines=len(order.lines))
        return Handled()

    async def _keep(self, order: Order, kept: _Kept) -> None:
        await self._ctx.values.put(Value(KIND, _key(order), kept.to_text()))

    async def _chat(self, person: Person, name: EnsName) -> str:
        """Mail has no conversation to begin: the address is what somebody needs. Raises what says why not."""
        await self._ctx.check_recipient(name)
        if (alias := alias_of(name)) is not None:
            await self._ctx.put_alias(alias, name)
        return f"Write to `{address_of(name, self._domain)}`; answers come to you by mail."

    async def _forget(self, person: CanonicalId) -> None:
        """Of somebody who was deleted: to whom they wrote, and their ways out of mail."""
        for kind in _KINDS_OF_PEOPLE:
            after = ""
            while rows := await self._ctx.values.find(kind, after=after, limit=_AT_ONCE):
                after = rows[-1].key
                theirs = [Value(kind, row.key, None) for row in rows if json.dumps(person) in (row.text or "")]
                await self._ctx.values.put(*theirs)

    async def forget_old(self) -> None:
        """Forget orders that no second copy comes of any more."""
        oldest = self._ctx.now_ms() // DAY_MS - DAYS_KEPT
        while rows := await self._ctx.values.find(KIND, limit=_AT_ONCE):
            old = [Value(KIND, row.key, None) for row in rows if int(row.key.partition(".")[0]) < oldest]
            await self._ctx.values.put(*old)
            if len(old) < len(rows):
                return


def _key(order: Order) -> str:
    return f"{order.at // DAY_MS:06d}.{order.key}"


def _harmless(line: str) -> str:
    """A line as it may be carried out without a confirmation: a final command alone, which asks for one."""
    first = line.split(None, 1)[:1]
    command = find(first[0]) if first else None
    return command.name if command is not None and command.final else line
