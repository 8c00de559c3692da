"""Commands about who may write: spam, block, unblock, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from gateway.dm3.sender_rules import (
    MAX_OWNERSHIPS,
    RecipientRules,
    SenderRules,
    Stake,
    TokenBalance,
    TokenOwnership,
    TokenStandard,
)
from gateway.sdk.commands.command import Answer, Call, Command, UsageError
from gateway.sdk.commands.reading import (
    read_address,
    read_count,
    read_ether,
    read_name,
    read_switch,
    read_whole,
)
from gateway.sdk.commands.writing import ether, list_of, names_of, number_of, time_of
from gateway.sdk.people import MailRules, allowing

Change = Callable[[RecipientRules], RecipientRules]

SHOWN: Final = 50
"""Names of a list that are shown."""


async def spam(call: Call) -> Answer:
    """Show the rules, or change one."""
    if not call.words:
        return Answer(_shown(await call.people.rules(call.person), call))
    kind, words = call.words[0].lower(), call.words[1:]
    if kind == "stake":
        change = _stake(await call.people.rules(call.person), words)
    elif kind in _CHANGES:
        change = _CHANGES[kind](words)
    else:
        raise UsageError(
            f"There is no such rule; there are: {', '.join(f'`{each}`' for each in (*_CHANGES, 'stake'))}."
        )
    await call.people.change_rules(call.person, change)
    return Answer(_shown(await call.people.rules(call.person), call))


async def block(call: Call) -> Answer:
    """Block a name, or show whom one has blocked."""
    if not call.words:
        blocked = await call.people.blocked(call.person)
        return Answer(f"You block {names_of(blocked[:SHOWN])}.")
    name = read_name(call.words[0])
    await call.people.block(call.person, name)
    return Answer(f"You get nothing from `{name}` any more. {call.house.typed(f'unblock {name}')} takes it back.")


async def unblock(call: Call) -> Answer:
    """Take messages again."""
    name = read_name(call.words[0])
    if await call.people.unblock(call.person, name):
        return Answer(f"`{name}` can write to you again.")
    return Answer(f"You did not block `{name}`.")


async def report(call: Call) -> Answer:
    """Report the newest message of a name as spam."""
    name = read_name(call.words[0])
    if len(call.words) > 1 and call.words[1].lower() != "block":
        raise UsageError("Behind the name there can be the word `block`.")
    blocks = len(call.words) > 1
    done = await call.people.report(call.person, name, block=blocks)
    if not done.found:
        told = f"You have no message of `{name}` that could be reported."
    elif not done.verified:
        told = f"It is not certain that the message is by `{name}`, so there is nobody to report."
    elif not done.passed_on:
        told = "Whoever runs this gateway takes no reports."
    else:
        told = f"The newest message of `{name}` is reported."
    end = f"You get nothing from `{name}` any more." if blocks else f"{call.house.typed(f'block {name}')} stops them."
    return Answer(f"{told} {end}")


def _requests(words: tuple[str, ...]) -> Change:
    on = read_switch(*_exactly(words, 1))
    return _public(lambda rules: replace(rules, message_requests=on))


def _allow(words: tuple[str, ...]) -> Change:
    name = read_name(*_exactly(words, 1))
    return lambda rules: allowing(rules, name)


def _disallow(words: tuple[str, ...]) -> Change:
    name = read_name(*_exactly(words, 1))
    return lambda rules: replace(rules, allow=rules.allow - {name})


def _nonce(words: tuple[str, ...]) -> Change:
    number = read_count(*_exactly(words, 1))
    return _public(lambda rules: replace(rules, min_nonce=number))


def _balance(words: tuple[str, ...]) -> Change:
    wei = read_ether(*_exactly(words, 1))
    return _public(lambda rules: replace(rules, min_balance=wei))


def _token(words: tuple[str, ...]) -> Change:
    rule = None
    if not _is_off(words):
        contract, amount = _exactly(words, 2)
        rule = TokenBalance(read_address(contract), read_whole(amount))
    return _public(lambda rules: replace(rules, min_token_balance=rule if rule and rule.amount else None))


def _nft(words: tuple[str, ...]) -> Change:
    if _is_off(words):
        return _public(lambda rules: replace(rules, owns_token=()))
    contract = read_address(_between(words, 1, 2)[0])
    rule = TokenOwnership(TokenStandard.ERC721, contract, read_whole(words[1]) if len(words) > 1 else None)

    def change(rules: SenderRules) -> SenderRules:
        others = tuple(each for each in rules.owns_token if each != rule)
        if len(others) >= MAX_OWNERSHIPS:
            raise UsageError(f"There are at most {MAX_OWNERSHIPS} rules of this kind.")
        return replace(rules, owns_token=(*others, rule))

    return _public(change)


def _stake(rules: MailRules, words: tuple[str, ...]) -> Change:
    wei = read_ether(*_exactly(words, 1))
    if wei and rules.stake_contract is None:
        raise UsageError("There are no deposits here that senders could make.")
    rule = Stake(rules.stake_contract, wei) if wei and rules.stake_contract is not None else None
    return _public(lambda public: replace(public, min_stake=rule))


def _waiting(words: tuple[str, ...]) -> Change:
    number = read_count(*_exactly(words, 1))
    return lambda rules: replace(rules, max_waiting_per_sender=number)


def _off(words: tuple[str, ...]) -> Change:
    _exactly(words, 0)
    return lambda rules: replace(rules, public=SenderRules(), max_waiting_per_sender=0)


_CHANGES: Final[Mapping[str, Callable[[tuple[str, ...]], Change]]] = MappingProxyType(
    {
        "requests": _requests,
        "allow": _allow,
        "disallow": _disallow,
        "nonce": _nonce,
        "balance": _balance,
        "token": _token,
        "nft": _nft,
        "waiting": _waiting,
        "off": _off,
    }
)

EXPLAINED: Final = (
    "`spam requests on` or `off`: strangers wait until you let them in",
    "`spam allow <name>`, `spam disallow <name>`: whom no other rule stops",
    "`spam nonce <number>`: transactions that a sender's address must have made",
    "`spam balance <ether>`: what it must hold",
    "`spam token <contract> <amount>`: of a token, in its smallest unit",
    "`spam nft <contract> [token id]`: from a collection",
    "`spam stake <ether>`: deposited with this gateway's contract, where there is one",
    "`spam waiting <number>`: messages of one sender that may wait for you",
    "`spam off`: none of these any more; the lists of names stay. `off` in place of a value takes back one rule",
)


def _public(change: Callable[[SenderRules], SenderRules]) -> Change:
    return lambda rules: replace(rules, public=change(rules.public))


def _is_off(words: tuple[str, ...]) -> bool:
    return len(words) == 1 and words[0].lower() == "off"


def _exactly(words: tuple[str, ...], number: int) -> tuple[str, ...]:
    return _between(words, number, number)


def _between(words: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
    if not least <= len(words) <= most:
        raise UsageError("This rule has " + ("more" if len(words) < least else "less") + " behind its name.")
    return words


def _shown(found: MailRules, call: Call) -> str:
    """All rules that are set, who waits because of them, and how they are changed."""
    rules, public = found.rules, found.rules.public
    lines = [f"Strangers wait until you let them in: {'yes' if public.message_requests else 'no'}"]
    if public.min_nonce:
        lines.append(f"Their address has made {number_of(public.min_nonce, 'transaction')} or more")
    if public.min_balance:
        lines.append(f"It holds {ether(public.min_balance)} or more")
    if public.min_token_balance is not None:
        token = public.min_token_balance
        lines.append(f"It holds {token.amount} or more of the smallest unit of `{token.address}`")
    lines += [f"It owns {_owned(each)}" for each in public.owns_token]
    if public.min_stake is not None:
        lines.append(f"It has deposited {ether(public.min_stake.amount)} or more")
    if rules.max_waiting_per_sender:
        lines.append(f"At most {number_of(rules.max_waiting_per_sender, 'message')} of one sender wait for you")
    if rules.allow:
        lines.append(f"Always let in: {names_of(sorted(rules.allow)[:SHOWN])}")
    if rules.block:
        lines.append(f"Never: {names_of(sorted(rules.block)[:SHOWN])}")
    parts = [list_of(lines)]
    if found.strangers:
        waiting = (
            f"`{each.sender}`: {number_of(each.messages, 'message')} since {time_of(each.since)}"
            for each in found.strangers
        )
        parts.append(f"These wait to be let in:\n{list_of(waiting)}")
    if not call.words:
        parts.append(
            f"How to change it:\n{list_of(each.replace('`spam', f'`{call.house.prefix}spam') for each in EXPLAINED)}"
        )
    return "\n\n".join(parts)


def _owned(rule: TokenOwnership) -> str:
    which = "" if rule.token_id is None else f" number {rule.token_id}"
    return f"{rule.amount} or more of {rule.standard.value}{which} at `{rule.address}`"


COMMANDS: Final = (
    Command(("spam", "rules"), "[rule value]", "what is asked of those who write to you, and who waits", spam, 0, 4),
    Command(("block",), "[name]", "get nothing from a name any more; without one, whom you block", block, 0, 1),
    Command(("unblock",), "<name>", "take messages of a name again", unblock, 1, 1),
    Command(("report",), "<name> [block]", "report the newest message of a name as spam", report, 1, 2),
)
