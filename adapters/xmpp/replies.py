"""Answers to requests, errors for what is not taken, and requests of our own (RFC 6120, sections 8.2.3 and 8.3)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza
from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import NOTHING, Xml, clean, leaf, name_of, tag


def result(request: Request, payload: Xml = NOTHING) -> Xml:
    """The answer to a request."""
    head = request.head
    return tag("iq", payload, from_=str(head.to), to=str(head.sender), id=head.id, type="result")


def error(request: Request, fault: BadStanza) -> Xml:
    """The answer to a request that cannot be fulfilled."""
    head = request.head
    return tag("iq", error_element(fault), from_=str(head.to), to=str(head.sender), id=head.id, type="error")


def ask(sender: Jid, to: Jid, id: str, kind: Kind, payload: Xml) -> Xml:
    """A request of ours."""
    return tag("iq", payload, from_=str(sender), to=str(to), id=id, type=kind.value)


def error_element(fault: BadStanza) -> Xml:
    """What is wrong, with the type that goes with the condition (RFC 6120, section 8.3.2)."""
    text = leaf("text", fault.text, xmlns=ns.ERRORS) if fault.text else NOTHING
    special = tag(fault.special.name, xmlns=fault.special.namespace) if fault.special else NOTHING
    return tag("error", tag(fault.condition.value, xmlns=ns.ERRORS), text, special, type=fault.condition.type.value)


def refusal(element: Element, fault: BadStanza, ids: Ids) -> Xml | None:
    """The error for a stanza that was not taken, made from the stanza itself, because it may not be readable.

    None where an answer would be wrong: to errors and results (two entities would answer one another for ever), to
    headlines, to presence that does not ask for anything; and where none is possible, because the sender has no address
    or the stanza was not for us: the server ends the link with a component that speaks for others.
    """
    if not _is_answered(element):
        return None
    try:
        sender, to = Jid.parse(element.get("from") or ""), Jid.parse(element.get("to") or "")
    except BadStanza:
        return None
    if not ids.is_ours(to) or ids.is_ours(sender):
        return None
    id_of = clean(element.get("id") or "") or None
    return tag(name_of(element)[1], error_element(fault), from_=str(to), to=str(sender), id=id_of, type="error")


def bounced(sender: Jid, to: Jid, id: str, fault: BadStanza) -> Xml:
    """A message that came from ``to`` comes back: it did not reach the contact."""
    return tag("message", error_element(fault), from_=str(sender), to=str(to), id=id, type="error")


def _is_answered(element: Element) -> bool:
    namespace, name = name_of(element)
    kind = element.get("type") or ""
    if namespace not in ns.STANZAS:
        return False
    match name:
        case "message":
            return kind not in ("error", "headline")
        case "presence":
            return kind in ("", "subscribe", "probe")
        case "iq":
            return kind not in ("error", "result")
        case _:
            return False
