"""What a room is, who may do what in it, and what of its past somebody gets to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import Enter, Show
from adapters.xmpp.xml import Xml
from gateway.sdk import EnsName
from gateway.sdk.speakers import folded, without_colons

MAX_NICK: Final = 100
"""Characters."""
MAX_SEATS: Final = 200
MAX_LISTED: Final = 500
"""People with an affiliation."""
USUAL_PAST: Final = 50
"""Messages for somebody who does not say how many."""


class Affiliation(StrEnum):
    """What somebody is to a room, whether they are there or not (XEP-0045, section 5.2)."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


class Role(StrEnum):
    """What somebody who is there may do (section 5.1); nobody is without a voice."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"
    NONE = "none"


RULING: Final = frozenset({Affiliation.OWNER, Affiliation.ADMIN})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a room is about, and who says so; times are milliseconds since the epoch."""

    text: str = field(repr=False)
    nick: str
    at: int


@dataclass(frozen=True, slots=True)
class Room:
    """What is kept of a room."""

    jid: Jid
    """Bare."""
    name: EnsName
    """Whom the people of the room talk with."""
    contact: Jid
    """The name's contact; its local part is the name's nick here."""
    title: str = ""
    subject: Subject | None = None
    members_only: bool = False
    affiliations: Mapping[str, Affiliation] = field(default_factory=dict)
    """By canonical id; everybody else has none."""

    @property
    def nick(self) -> str:
        """Of the name."""
        return self.contact.local

    @property
    def called(self) -> str:
        """The room's name for people."""
        return self.title or self.jid.local.partition("+")[0]

    def affiliation(self, person: str) -> Affiliation:
        """Of a person."""
        return self.affiliations.get(person, Affiliation.NONE)

    def rules(self, person: str) -> bool:
        """Whether somebody moderates."""
        return self.affiliation(person) in RULING

    def with_affiliation(self, person: str, affiliation: Affiliation) -> Room:
        """Changed for one person. Raises BadStanza: conflict for the last owner (section 10.5), and for a full list."""
        changed = {key: each for key, each in self.affiliations.items() if key != person}
        if affiliation is not Affiliation.NONE:
            changed[person] = affiliation
        if Affiliation.OWNER not in changed.values():
            raise BadStanza(Condition.CONFLICT, "A room needs an owner.")
        if len(changed) > MAX_LISTED:
            raise BadStanza(Condition.RESOURCE_CONSTRAINT, f"At most {MAX_LISTED} people are listed.")
        return replace(self, affiliations=changed)


def role(affiliation: Affiliation) -> Role:
    """The role that comes with an affiliation."""
    if affiliation is Affiliation.OUTCAST:
        return Role.NONE
    return Role.MODERATOR if affiliation in RULING else Role.PARTICIPANT


@dataclass(frozen=True, slots=True)
class Seat:
    """A client in a room; the clients of one person may share a nick."""

    client: Jid
    """Full."""
    nick: str
    show: Show = Show.ONLINE
    status: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """Something that was said."""

    id: str
    """The room's id of it (XEP-0359)."""
    own_id: str
    """Its writer's id of it."""
    nick: str
    person: str
    """Canonical id of its writer, empty for the name's and the room's own words."""
    at: int
    """Milliseconds since the epoch."""
    xml: Xml = field(repr=False)
    """What is in the message."""


def check_nick(nick: str) -> str:
    """A nick that may be taken; raises BadStanza with jid-malformed (section 7.2.1) or not-acceptable."""
    if not folded(without_colons(nick)):
        raise BadStanza(Condition.JID_MALFORMED, "Who enters a room needs a nick.")
    if len(nick) > MAX_NICK:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"A nick has at most {MAX_NICK} characters.")
    return nick


def past(passed: Sequence[Passed], wish: Enter, joined_at: int, now: int) -> Sequence[Passed]:
    """What somebody sees of what was said before: nothing of the time before they first came (section 7.2.13)."""
    since = max(joined_at, wish.since or 0, now - 1000 * wish.seconds if wish.seconds is not None else 0)
    most = USUAL_PAST if wish.most is None else wish.most
    found = [each for each in passed if each.at >= since]
    return found[-most:] if most else ()
