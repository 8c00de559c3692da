"""Stanzas of strangers as values (RFC 6120, RFC 6121): whatever is wrong with one is a BadStanza, never anything else.

Elements come from a parser that has bounded the stanza; here what is in them is bounded. No element is searched
deeper than where its protocol has something to say, so that nesting costs nothing.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.content import MAX_ID, MAX_NICK, read_content
from adapters.xmpp.errors import BadStanza, Condition, ErrorType
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import (
    Answer,
    Available,
    Bounce,
    Enter,
    Head,
    Iq,
    Kind,
    Message,
    Presence,
    PresenceError,
    Probe,
    Request,
    Show,
    Stanza,
    StanzaError,
    Subscribe,
    Subscribed,
    Unavailable,
    Unsubscribe,
    Unsubscribed,
)
from adapters.xmpp.times import read_stamp
from adapters.xmpp.xml import attribute, child, cut_text_of, name_of

MAX_STATUS: Final = 500
MAX_ERROR_TEXT: Final = 500
_NUMBER: Final = re.compile("[0-9]{1,9}")


def parse(element: Element) -> Stanza:
    """One stanza. Raises BadStanza with the condition that its sender is to be answered with (`replies.refusal`)."""
    namespace, name = name_of(element)
    if namespace not in ns.STANZAS:
        raise BadStanza(Condition.BAD_REQUEST, "This is no stanza.")
    match name:
        case "message":
            return parse_message(element)
        case "presence":
            return parse_presence(element)
        case "iq":
            return parse_iq(element)
        case _:
            raise BadStanza(Condition.BAD_REQUEST, "This is no stanza.")


def parse_message(element: Element) -> Message:
    """A message; of an unknown type it is a normal one (RFC 6121, section 5.2.2). Raises BadStanza."""
    head = _head(element)
    kind = attribute(element, "type")
    if kind == "error":
        return Bounce(head, _error(element))
    return read_content(element, head, kind)


def parse_presence(element: Element) -> Presence:
    """A presence. Raises BadStanza for an unknown type."""
    head = _head(element)
    kind = attribute(element, "type")
    status = cut_text_of(child(element, name_of(element)[0], "status"), MAX_STATUS)
    match kind:
        case "":
            return _available(element, head, status)
        case "unavailable":
            return Unavailable(head, status)
        case "subscribe":
            return Subscribe(head, status, _nick(element))
        case "subscribed":
            return Subscribed(head)
        case "unsubscribe":
            return Unsubscribe(head)
        case "unsubscribed":
            return Unsubscribed(head)
        case "probe":
            return Probe(head)
        case "error":
            return PresenceError(head, _error(element))
        case _:
            raise BadStanza(Condition.BAD_REQUEST, "There is no such type of presence.")


def parse_iq(element: Element) -> Iq:
    """A request or an answer (RFC 6120, section 8.2.3). Raises BadStanza without an id, or a request's one payload."""
    head = _head(element)
    kind = attribute(element, "type")
    payloads = [each for each in element if name_of(each)[1]]
    if not head.id:
        raise BadStanza(Condition.BAD_REQUEST, "An iq needs an id.")
    match kind:
        case "get" | "set":
            if len(payloads) != 1:
                raise BadStanza(Condition.BAD_REQUEST, "A request has exactly one payload.")
            return Request(Kind(kind), head, payloads[0])
        case "result":
            return Answer(head, payloads[0] if payloads else None)
        case "error":
            return Answer(head, None, _error(element))
        case _:
            raise BadStanza(Condition.BAD_REQUEST, "There is no such type of iq.")


def _head(element: Element) -> Head:
    sender, to = attribute(element, "from"), attribute(element, "to")
    if not sender or not to:
        raise BadStanza(Condition.BAD_REQUEST, "A stanza needs a sender and a recipient.")
    return Head(Jid.parse(sender), Jid.parse(to), attribute(element, "id", MAX_ID))


def _available(element: Element, head: Head, status: str) -> Available | Enter:
    written = cut_text_of(child(element, name_of(element)[0], "show"), 10).strip()
    show = Show(written) if written in {each.value for each in Show} else Show.ONLINE
    entering = child(element, ns.MUC, "x")
    if entering is not None:
        wish = child(entering, ns.MUC, "history")
        # Who wants no characters wants no messages.
        most = 0 if _number(wish, "maxchars") == 0 else _number(wish, "maxstanzas")
        since = read_stamp("" if wish is None else attribute(wish, "since"))
        return Enter(head, show, status, most, since, _number(wish, "seconds"))
    update = child(element, ns.VCARD_UPDATE, "x")
    photo = None if update is None else child(update, ns.VCARD_UPDATE, "photo")
    return Available(
        head,
        show,
        status,
        _nick(element),
        None if photo is None else cut_text_of(photo, 40).strip().lower(),
    )


def _number(element: Element | None, name: str) -> int | None:
    text = "" if element is None else attribute(element, name)
    return int(text) if _NUMBER.fullmatch(text) else None


def _nick(element: Element) -> str:
    return cut_text_of(child(element, ns.NICK, "nick"), MAX_NICK).strip()


def _error(element: Element) -> StanzaError:
    """Whatever is in it: an error is never answered, so there is nobody to tell that it is malformed."""
    error = child(element, name_of(element)[0], "error")
    if error is None:
        return StanzaError(Condition.UNDEFINED_CONDITION, ErrorType.CANCEL)
    names = {name for namespace, name in map(name_of, error) if namespace == ns.ERRORS}
    condition = next((each for each in Condition if each in names), Condition.UNDEFINED_CONDITION)
    kind = (error.get("type") or "").strip()
    return StanzaError(
        condition,
        ErrorType(kind) if kind in {each.value for each in ErrorType} else condition.type,
        cut_text_of(child(error, ns.ERRORS, "text"), MAX_ERROR_TEXT).strip(),
        (error.get("by") or "")[:MAX_ERROR_TEXT],
    )
