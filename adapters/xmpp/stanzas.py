"""What arrives, as values: one for each kind of message, presence and iq. Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from xml.etree.ElementTree import Element

from adapters.xmpp.errors import Condition, ErrorType
from adapters.xmpp.jids import Jid
from adapters.xmpp.xml import Xml


@dataclass(frozen=True, slots=True)
class Head:
    """What every stanza has."""

    sender: Jid
    to: Jid
    id: str = ""
    """Its sender's id of it; empty when there is none, which only an iq must not do."""


@dataclass(frozen=True, slots=True)
class StanzaError:
    """What went wrong with a stanza of ours (RFC 6120, section 8.3)."""

    condition: Condition
    type: ErrorType
    text: str = ""
    by: str = ""
    """The server that says so; empty when it does not name itself."""


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file somewhere on the web (XEP-0066, XEP-0446); empty, or None, for what the sender does not tell."""

    url: str
    """http or https."""
    name: str = ""
    media_type: str = ""
    size: int | None = None
    """Bytes."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """What somebody wrote."""

    head: Head
    text: str = field(default="", repr=False)
    """Without fallbacks; empty when there are only files."""
    subject: str = field(default="", repr=False)
    origin_id: str = ""
    """XEP-0359."""
    stanza_id: str = ""
    """Id in the sender's own archive (XEP-0359, from that archive alone)."""
    reply_to: str = ""
    """Id of the message that is answered (XEP-0461)."""
    quoted: str = field(default="", repr=False)
    """What the fallback of a reply quoted, for whoever does not know that message."""
    replaces: str = ""
    """Id of the message whose text this one corrects (XEP-0308)."""
    files: tuple[RemoteFile, ...] = ()
    sent_at: int | None = None
    """When it was first sent, where it was held up (XEP-0203)."""
    nick: str = ""
    """XEP-0172."""
    wants_receipt: bool = False
    """XEP-0184."""
    markable: bool = False
    """XEP-0333."""
    no_store: bool = False
    """XEP-0334."""
    headline: bool = False
    """Sent by a program to many (RFC 6121, section 5.2.2): never answered, not even by an error."""


@dataclass(frozen=True, slots=True)
class Received:
    """A client has the message (XEP-0184)."""

    head: Head
    id: str


@dataclass(frozen=True, slots=True)
class Displayed:
    """Somebody has seen the message and what came before it (XEP-0333)."""

    head: Head
    id: str


@dataclass(frozen=True, slots=True)
class Reactions:
    """All reactions of the sender to a message from now on (XEP-0444): none takes back those before."""

    head: Head
    id: str
    emojis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retraction:
    """A message shall not be shown any more (XEP-0424)."""

    head: Head
    id: str


class ChatState(StrEnum):
    """What somebody does with a conversation (XEP-0085)."""

    ACTIVE = "active"
    COMPOSING = "composing"
    PAUSED = "paused"
    INACTIVE = "inactive"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Typing:
    """A chat state alone: it has no counterpart in DM3 and is never kept."""

    head: Head
    state: ChatState


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A message that only its sender's and recipient's clients can read; what else is in it is filler."""

    head: Head
    method: str
    """Name for people: ``OMEMO``, ``OpenPGP``."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A message of ours that came back."""

    head: Head
    error: StanzaError

    @property
    def id(self) -> str:
        """Id of the message of ours."""
        return self.head.id


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message without anything for us, such as an event of somebody's server: ignored, never answered."""

    head: Head


Utterance = Chat | Received | Displayed | Reactions | Retraction | Typing | Encrypted | Nothing
"""What somebody does in a conversation."""


@dataclass(frozen=True, slots=True)
class Groupchat:
    """Something said to all who are in a room (XEP-0045, section 7.4)."""

    head: Head
    said: Utterance
    payload: Xml = field(repr=False)
    """All of it as markup, for the others."""
    subject: str | None = None
    """What the room is about from now on (section 8.1); None for a message."""


@dataclass(frozen=True, slots=True)
class Invite:
    """People are to be invited into the room that this is sent to (XEP-0045, section 7.8.2).

    Without guests: something that only makes sense among rooms and their occupants.
    """

    head: Head
    guests: tuple[Jid, ...]
    """Bare addresses."""
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a server lets the component do for its users (XEP-0356, section 4.2)."""

    head: Head
    access: Mapping[str, str]
    """Types (``get``, ``set``, ``both``, ``outgoing``, ...) by access (``roster``, ``message``, ...)."""


Message = Utterance | Bounce | Groupchat | Invite | Granted


# --- presence ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A contact request (RFC 6121, section 3.1), with what its writer says and is called (XEP-0172)."""

    head: Head
    status: str = ""
    nick: str = ""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A contact request of ours was accepted."""

    head: Head


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Somebody does not want to see our presence any more."""

    head: Head


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A contact request of ours was refused, or its acceptance taken back."""

    head: Head


@dataclass(frozen=True, slots=True)
class Probe:
    """A server asks for the presence that it should know."""

    head: Head


class Show(StrEnum):
    """How available somebody is (RFC 6121, section 4.7.2.1); ONLINE is written as no ``show``."""

    ONLINE = ""
    AWAY = "away"
    CHAT = "chat"
    BUSY = "dnd"
    LONG_AWAY = "xa"


@dataclass(frozen=True, slots=True)
class Available:
    """A client is there."""

    head: Head
    show: Show = Show.ONLINE
    status: str = ""
    nick: str = ""
    photo: str | None = None
    """SHA-1 of the picture in hex (XEP-0153): empty for no picture, None when nothing is said about it."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Somebody wants to enter a room, or is asked for again by a client that lost track (XEP-0045, section 7.2)."""

    head: Head
    show: Show = Show.ONLINE
    status: str = ""
    most: int | None = None
    """Messages of the past that are wanted at most (section 7.2.14)."""
    since: int | None = None
    """Only messages from this time on."""
    seconds: int | None = None
    """Only messages of the last so many seconds."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A client is gone."""

    head: Head
    status: str = ""


@dataclass(frozen=True, slots=True)
class PresenceError:
    """A presence of ours came back."""

    head: Head
    error: StanzaError


Presence = Subscribe | Subscribed | Unsubscribe | Unsubscribed | Probe | Available | Enter | Unavailable | PresenceError


# --- iq ---------------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a request wants (RFC 6120, section 8.2.3)."""

    GET = "get"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Request:
    """A question that must be answered once."""

    kind: Kind
    head: Head
    payload: Element = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question of ours; it is never answered itself."""

    head: Head
    payload: Element | None = field(repr=False)
    """None for an empty result, and for an error."""
    error: StanzaError | None = None


Iq = Request | Answer

Stanza = Message | Presence | Iq
