"""What can be asked of whom: service discovery, capabilities, extended information (XEP-0030, XEP-0115, XEP-0128)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.services import forms
from adapters.xmpp.services.forms import FORM_TYPE, Field, Form
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import Xml, attribute, name_of, tag

MAX_NODE: Final = 500


@dataclass(frozen=True, slots=True)
class InfoAsked:
    """What are you? ``node`` is empty, that of our capabilities (`caps_node`), or that of a command."""

    node: str


@dataclass(frozen=True, slots=True)
class ItemsAsked:
    """What is there to find? ``node`` is empty or that of the commands."""

    node: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What something is (registry of XEP-0030)."""

    category: str
    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Face:
    """How something answers to discovery."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...]
    forms: tuple[Form, ...] = ()
    """Extended information; the first field of each names its type."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to find: an address, or a node of it, with a name for people."""

    jid: str
    node: str = ""
    name: str = ""


_BOTH: Final = (
    ns.DISCO_INFO,
    ns.DISCO_ITEMS,
    ns.CAPS,
    ns.PING,
    ns.TIME,
    ns.VERSION,
    ns.VCARD_TEMP,
)
_CHAT: Final = (
    ns.CHAT_STATES,
    ns.RECEIPTS,
    ns.MARKERS,
    ns.CORRECTION,
    ns.RETRACTION,
    ns.REACTIONS,
    ns.REPLY,
    ns.FALLBACK,
    ns.OOB,
    ns.FILE_SHARING,
    ns.FILE_METADATA,
    ns.IDS,
    ns.NICK,
)


def component_face(name: str, software: str, version: str) -> Face:
    """The component: a gateway to a network that the registry does not know, so that its type is ours."""
    about = (
        forms.hidden_type(ns.SOFTWARE_INFO),
        Field("software", (software,)),
        Field("software_version", (version,)),
    )
    own = (ns.GATEWAY, ns.REGISTER, ns.SEARCH, ns.COMMANDS, ns.BLOCKING, ns.CHAT_STATES, ns.RECEIPTS, ns.MUC)
    # Clients look for a place for rooms by the second.
    identities = (Identity("gateway", "dm3", name), Identity("conference", "text", name))
    return Face(identities, _BOTH + own, (Form(about, "result"),))


def contact_face(name: str = "") -> Face:
    """A contact: an account, whose picture and card can be fetched as from its own server (XEP-0163)."""
    pubsub = (f"{ns.PUBSUB}#retrieve-items", f"{ns.PUBSUB}#persistent-items", ns.VCARD4_NODE)
    return Face((Identity("account", "registered", name), Identity("pubsub", "pep")), _BOTH + _CHAT + pubsub)


def read(request: Request) -> InfoAsked | ItemsAsked:
    """Raises BadStanza for a set: there is nothing to publish here."""
    if request.kind is not Kind.GET:
        raise BadStanza(Condition.FEATURE_NOT_IMPLEMENTED)
    node = attribute(request.payload, "node", MAX_NODE)
    return InfoAsked(node) if name_of(request.payload)[0] == ns.DISCO_INFO else ItemsAsked(node)


def info(face: Face, node: str = "") -> Xml:
    """The answer to `InfoAsked`, with the node that was asked for (XEP-0115, section 6.2)."""
    identities = (
        tag("identity", category=each.category, type=each.type, name=each.name or None) for each in face.identities
    )
    features = (tag("feature", var=each) for each in face.features)
    return tag("query", *identities, *features, *map(forms.form, face.forms), xmlns=ns.DISCO_INFO, node=node or None)


def items(found: Iterable[Item], node: str = "") -> Xml:
    """The answer to `ItemsAsked`."""
    written = (tag("item", jid=each.jid, node=each.node or None, name=each.name or None) for each in found)
    return tag("query", *written, xmlns=ns.DISCO_ITEMS, node=node or None)


def ver(face: Face) -> str:
    """The verification string (XEP-0115, section 5.1): SHA-1 in base64 over everything in a fixed order."""
    identities = sorted(f"{each.category}/{each.type}//{each.name}" for each in face.identities)
    parts = [*identities, *sorted(face.features)]
    for form in sorted(face.forms, key=_type_of):
        parts.append(_type_of(form))
        for field in sorted((each for each in form.fields if each.var != FORM_TYPE), key=lambda each: each.var):
            parts += [field.var, *sorted(field.values)]
    joined = "".join(f"{part}<" for part in parts)
    return base64.b64encode(hashlib.sha1(joined.encode(), usedforsecurity=False).digest()).decode()


def caps(face: Face, node: str) -> Xml:
    """What goes into presence; ``node`` is the software's address on the web."""
    return tag("c", xmlns=ns.CAPS, hash="sha-1", node=node, ver=ver(face))


def is_of(node: str, face: Face, software: str) -> bool:
    """Whether a node asks for what presence announced, or for nothing in particular."""
    return node in ("", f"{software}#{ver(face)}")


def _type_of(form: Form) -> str:
    return next((each.values[0] for each in form.fields if each.var == FORM_TYPE and each.values), "")
