"""What taking a message of a person and one of a room have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.stanzas import Chat, Encrypted, Head, Reactions
from adapters.xmpp.world import World
from gateway.sdk import (
    InvalidInput,
    LimitExceeded,
    MessageType,
    NotFound,
    TooLarge,
    Unavailable,
    Value,
    Values,
    said_by_people,
)

REACTED: Final = "reacted"
"""Values: a person's reactions to a message, by person, name and message."""
ENCRYPTED: Final = (
    "This gateway cannot read {method}: please switch encryption off for this contact and send the message again."
)


@contextmanager
def told(world: World, head: Head, kind: str = "message") -> Iterator[None]:
    """Counts a message of somebody's among those of its kind, and tells what cannot be taken as `explained` does."""
    with explained():
        world.rate.take(f"{kind} {head.sender.bare}")
        yield


@contextmanager
def explained() -> Iterator[None]:
    """What cannot be taken is told in the protocol's words: for now, or for good."""
    try:
        yield
    except NotFound as error:
        raise BadStanza(Condition.ITEM_NOT_FOUND, error.sentence) from None
    except TooLarge as error:
        raise BadStanza(Condition.POLICY_VIOLATION, error.sentence) from None
    except InvalidInput as error:
        raise BadStanza(Condition.NOT_ACCEPTABLE, error.sentence) from None
    except (LimitExceeded, Unavailable) as error:
        raise BadStanza(Condition.RESOURCE_CONSTRAINT, error.sentence) from None


def words(chat: Chat) -> str:
    """The text, under its subject where it has one."""
    return chat.text if not chat.subject else f"**{chat.subject}**\n\n{chat.text}".rstrip()


def fingerprint(*parts: str) -> str:
    """32 hex digits, the same for the same parts, none of which holds a null character."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def unreadable(encrypted: Encrypted) -> BadStanza:
    """What its sender has to be told."""
    return BadStanza(Condition.NOT_ACCEPTABLE, ENCRYPTED.format(method=encrypted.method))


@dataclass(frozen=True, slots=True)
class Change:
    """A reaction that is new, or one that is taken back."""

    type: MessageType
    text: str
    about: str
    """Id of the message, or of the reaction that is taken back."""
    id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from before, and what is to be written when that was taken."""

    changes: tuple[Change, ...]
    value: Value


async def changes(values: Values, key: str, reactions: Reactions, number: str) -> Changes:
    """What a whole list of reactions means, whose sender and message ``key`` names; ``number`` makes ids of it."""
    known: dict[str, str] = json.loads(await values.get(REACTED, key) or "{}")
    wanted = dict.fromkeys(reactions.emojis)
    found = []
    for emoji in [each for each in wanted if each not in known]:
        known[emoji] = f"reaction {number} {emoji}"
        found.append(Change(MessageType.REACTION, said_by_people(emoji), reactions.id, known[emoji]))
    for emoji in [each for each in known if each not in wanted]:
        found.append(Change(MessageType.DELETE_REQUEST, "", known.pop(emoji), f"gone {number} {emoji}"))
    return Changes(tuple(found), Value(REACTED, key, json.dumps(known) if known else None))
