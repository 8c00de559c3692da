"""The gateway's prompt: what people call somebody becomes an address (``jabber:iq:gateway``, XEP-0100, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import Xml, child, leaf, tag, text_of
from gateway.sdk import EnsName, InvalidInput
from gateway.sdk.addresses import Alias, normalise

MAX_TYPED: Final = 2_100
DESCRIPTION: Final = "Please enter the ENS name of the person you would like to write to."
PROMPT: Final = "ENS name"


@dataclass(frozen=True, slots=True)
class PromptAsked:
    """What is to be typed?"""


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, without blanks around it."""

    text: str


def read(request: Request) -> PromptAsked | Typed:
    """Raises BadStanza when nothing was typed."""
    if request.kind is Kind.GET:
        return PromptAsked()
    text = text_of(child(request.payload, ns.GATEWAY, "prompt"), MAX_TYPED).strip()
    if not text:
        raise BadStanza(Condition.NOT_ACCEPTABLE, "Nothing was typed.")
    return Typed(text)


def prompt() -> Xml:
    """The answer to `PromptAsked`."""
    return tag("query", leaf("desc", DESCRIPTION), leaf("prompt", PROMPT), xmlns=ns.GATEWAY)


def named(text: str, ids: Ids) -> EnsName | Alias:
    """The name that somebody typed, as it is or as the address that it has here.

    Raises BadStanza with item-not-found, in words for whoever typed it.
    """
    stripped = text.strip()
    local, at, domain = stripped.rpartition("@")
    if at and domain.lower() == ids.component and local.isascii():
        return ids.named_by(Jid(local, ids.component))
    try:
        name = normalise(local if at and domain.lower() == ids.component else stripped)
    except InvalidInput:
        raise BadStanza(Condition.ITEM_NOT_FOUND, "This is not an ENS name.") from None
    if "." not in name:
        raise BadStanza(Condition.ITEM_NOT_FOUND, "This is not a whole ENS name; one looks like alice.eth.")
    return name


def address(jid: Jid) -> Xml:
    """The answer to `Typed`."""
    return tag("query", leaf("jid", str(jid)), xmlns=ns.GATEWAY)
