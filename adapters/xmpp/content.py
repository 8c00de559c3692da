"""What a message holds: the first of the things below that is in it decides what it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.fallback import read_ranges, without
from adapters.xmpp.files import read_files
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import (
    Chat,
    ChatState,
    Displayed,
    Encrypted,
    Granted,
    Groupchat,
    Head,
    Invite,
    Message,
    Nothing,
    Reactions,
    Received,
    RemoteFile,
    Retraction,
    Typing,
    Utterance,
)
from adapters.xmpp.times import read_stamp
from adapters.xmpp.xml import LANG, Xml, attribute, child, children, copied, cut_text_of, name_of, text_of

MAX_BODY: Final = 100_000
"""Characters."""
MAX_SUBJECT: Final = 1_000
MAX_NICK: Final = 200
MAX_ID: Final = 1_023
MAX_INVITED: Final = 20
MAX_PERMS: Final = 20
MAX_REACTIONS: Final = 50
MAX_EMOJI: Final = 64

OMEMO: Final = "OMEMO"
_METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eu.siacs.conversations.axolotl": OMEMO,
        "urn:xmpp:omemo:1": OMEMO,
        "urn:xmpp:omemo:2": OMEMO,
        "urn:xmpp:openpgp:0": "OpenPGP",
        "jabber:x:encrypted": "OpenPGP",
        "urn:xmpp:otr:0": "OTR",
    }
)
_OF_THE_ROOM: Final = frozenset(
    {
        (ns.MUC, "x"),
        (ns.MUC_USER, "x"),
        (ns.IDS, "stanza-id"),
        (ns.OCCUPANT, "occupant-id"),
        (ns.DELAY, "delay"),
        (ns.NICK, "nick"),
        (ns.RECEIPTS, "request"),
    }
)
"""What only the room says, or what makes no sense among several people."""
_ENVELOPES: Final = (
    ("eu.siacs.conversations.axolotl", "encrypted"),
    ("urn:xmpp:omemo:1", "encrypted"),
    ("urn:xmpp:omemo:2", "encrypted"),
    ("urn:xmpp:openpgp:0", "openpgp"),
    ("jabber:x:encrypted", "x"),
)


def read_content(message: Element, head: Head, kind: str) -> Message:
    """A message of type ``kind``, which is no error. Raises BadStanza for what is malformed."""
    if kind == "groupchat":
        return _in_room(message, head)
    granted = _privileges(message, head)
    if granted is not None:
        return granted
    invitation = _invitation(message, head)
    if invitation is not None:
        return invitation
    return _said(message, head, kind)


def _said(message: Element, head: Head, kind: str) -> Utterance:
    taken_back = _retraction(message, head)
    if taken_back is not None:
        return taken_back
    reactions = child(message, ns.REACTIONS, "reactions")
    if reactions is not None:
        return _reactions(reactions, head)
    method = _encryption(message)
    if method is not None:
        return Encrypted(head, method)
    chat = _chat(message, head, headline=kind == "headline")
    return chat if chat is not None else _signal(message, head)


def _in_room(message: Element, head: Head) -> Groupchat:
    """What is said in a room, and how it is passed on to those who are there."""
    own = name_of(message)[0]
    subject = child(message, own, "subject")
    changes = subject is not None and child(message, own, "body") is None and child(message, own, "thread") is None
    kept = (each for each in message if (name_of(each)[0], name_of(each)[1]) not in _OF_THE_ROOM)
    return Groupchat(
        head,
        Nothing(head) if changes else _said(message, head, "groupchat"),
        Xml("".join(copied(each, own) for each in kept)),
        text_of(subject, MAX_SUBJECT).strip() if changes else None,
    )


def _privileges(message: Element, head: Head) -> Granted | None:
    for namespace in ns.PRIVILEGES:
        found = child(message, namespace, "privilege")
        if found is not None:
            perms = children(found, namespace, "perm")[:MAX_PERMS]
            return Granted(head, {attribute(each, "access", 50): attribute(each, "type", 50) for each in perms})
    return None


def _invitation(message: Element, head: Head) -> Invite | None:
    """An invitation, or something private out of a room (XEP-0045, sections 7.5 and 7.8, and XEP-0249)."""
    asked = child(message, ns.MUC_USER, "x")
    if asked is None and child(message, ns.CONFERENCE, "x") is None:
        return None
    invites = () if asked is None else children(asked, ns.MUC_USER, "invite")[:MAX_INVITED]
    guests = tuple(Jid.parse(attribute(each, "to")).bare for each in invites if attribute(each, "to"))
    reason = cut_text_of(child(invites[0], ns.MUC_USER, "reason"), MAX_SUBJECT) if invites else ""
    return Invite(head, guests, reason)


def _retraction(message: Element, head: Head) -> Utterance | None:
    retract = child(message, ns.RETRACTION, "retract")
    if retract is None:
        fastened = child(message, ns.FASTEN, "apply-to")
        if fastened is None or child(fastened, ns.RETRACTION_0, "retract") is None:
            return None
        retract = fastened
    return Retraction(head, _id(retract))


def _reactions(reactions: Element, head: Head) -> Reactions:
    given = children(reactions, ns.REACTIONS, "reaction")
    if len(given) > MAX_REACTIONS:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"At most {MAX_REACTIONS} reactions are taken.")
    emojis = dict.fromkeys(text_of(each, MAX_EMOJI).strip() for each in given)
    return Reactions(head, _id(reactions), tuple(filter(None, emojis)))


def _encryption(message: Element) -> str | None:
    """Name of the method when there is something that we cannot read (XEP-0380, XEP-0384, XEP-0027, XEP-0373)."""
    for namespace, name in _ENVELOPES:
        envelope = child(message, namespace, name)
        if envelope is not None:
            method = _METHODS[namespace]
            # Without a payload the clients only exchange keys, and nobody waits for an answer.
            has_words = method != OMEMO or child(envelope, namespace, "payload") is not None
            return method if has_words else None
    told = child(message, ns.ENCRYPTION, "encryption")
    if told is not None:
        namespace = attribute(told, "namespace", MAX_ID)
        return _METHODS.get(namespace) or attribute(told, "name", MAX_NICK) or "end-to-end"
    body = _in_our_language(message, "body")
    return "OTR" if body is not None and (body.text or "").startswith("?OTR") else None


def _chat(message: Element, head: Head, *, headline: bool) -> Chat | None:
    body = _in_our_language(message, "body")
    whole = text_of(body, MAX_BODY)
    subject = text_of(_in_our_language(message, "subject"), MAX_SUBJECT).strip()
    files = read_files(message)
    reply = child(message, ns.REPLY, "reply")
    answered = "" if reply is None else _id(reply, optional=True)
    replace = child(message, ns.CORRECTION, "replace")
    text, quoted = _words(message, whole, files, is_reply=bool(answered))
    if not text.strip() and not subject and not files:
        return None
    origin = child(message, ns.IDS, "origin-id")
    return Chat(
        head=head,
        text=text,
        subject=subject,
        origin_id="" if origin is None else _id(origin, optional=True),
        stanza_id=_archived(message, head.sender),
        reply_to=answered,
        quoted=quoted,
        replaces="" if replace is None else _id(replace),
        files=files,
        sent_at=_delay(message),
        nick=cut_text_of(child(message, ns.NICK, "nick"), MAX_NICK).strip(),
        wants_receipt=child(message, ns.RECEIPTS, "request") is not None,
        markable=child(message, ns.MARKERS, "markable") is not None,
        no_store=any(child(message, ns.HINTS, each) is not None for each in ("no-store", "no-permanent-store")),
        headline=headline,
    )


def _words(message: Element, body: str, files: tuple[RemoteFile, ...], *, is_reply: bool) -> tuple[str, str]:
    """What was written, and what was quoted with it."""
    quotes = read_ranges(message, ns.REPLY, len(body)) if is_reply else ()
    links = (
        (*read_ranges(message, ns.FILE_SHARING, len(body)), *read_ranges(message, ns.OOB, len(body))) if files else ()
    )
    text = without(body, (*quotes, *links))
    if not text.strip() and not files:
        # A fallback that leaves nothing was marked wrongly: better too much than a message that says nothing.
        return _lines(body), ""
    quoted = "".join(body[begin:end] for begin, end in quotes)
    text = _lines(text).removeprefix("\n") if quotes or links else _lines(text)
    return ("" if text.strip() in {each.url for each in files} else text), _lines(quoted)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _signal(message: Element, head: Head) -> Utterance:
    """A message without words."""
    displayed = child(message, ns.MARKERS, "displayed")
    if displayed is not None:
        return Displayed(head, _id(displayed))
    received = child(message, ns.RECEIPTS, "received")
    if received is None:
        received = child(message, ns.MARKERS, "received")
    if received is not None:
        return Received(head, _id(received))
    for state in ChatState:
        if child(message, ns.CHAT_STATES, state) is not None:
            return Typing(head, state)
    return Nothing(head)


def _id(element: Element, *, optional: bool = False) -> str:
    found = attribute(element, "id", MAX_ID)
    if not found and not optional:
        raise BadStanza(Condition.BAD_REQUEST, f"The element {name_of(element)[1]} has no id.")
    return found


def _archived(message: Element, sender: Jid) -> str:
    """The id that the sender's own archive gave; what others claim to have given is not known to be true."""
    archive = str(sender.bare)
    given = children(message, ns.IDS, "stanza-id")
    return next((_id(each, optional=True) for each in given if attribute(each, "by") == archive), "")


def _delay(message: Element) -> int | None:
    stamps = (read_stamp(attribute(each, "stamp")) for each in children(message, ns.DELAY, "delay"))
    return min((each for each in stamps if each is not None), default=None)


def _in_our_language(message: Element, name: str) -> Element | None:
    """The one without a language of its own, else the first (RFC 6121, section 5.2.3)."""
    same = children(message, name_of(message)[0], name)
    return next((each for each in same if each.get(LANG) is None), same[0] if same else None)
