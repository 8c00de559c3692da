"""Registration with the gateway (XEP-0077): who registers gets a name at once, and may choose what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.services import forms
from adapters.xmpp.services.forms import Field, Form
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import NOTHING, Xml, child, leaf, tag, text_of

MAX_NICK: Final = 200
NICK: Final = "nick"
INSTRUCTIONS: Final = (
    "Register to write to ENS names and to be written to. You get an ENS name of your own; "
    "your display name is shown beside it and can be left empty."
)


@dataclass(frozen=True, slots=True)
class RegistrationAsked:
    """What is to be filled in, and am I registered?"""


@dataclass(frozen=True, slots=True)
class Register:
    """Register, or change what was registered."""

    display_name: str
    """As typed; empty leaves it to the network."""


@dataclass(frozen=True, slots=True)
class RegistrationCancelled:
    """The form was closed; nothing changes, and the answer is an empty result."""


@dataclass(frozen=True, slots=True)
class Unregister:
    """Forget me (section 3.2). That the sender is who they say, their server answers for."""


def read(request: Request) -> RegistrationAsked | Register | RegistrationCancelled | Unregister:
    """Raises BadStanza for ``remove`` beside anything else (section 3.2, bad-request), and a malformed form."""
    query = request.payload
    if request.kind is Kind.GET:
        return RegistrationAsked()
    if child(query, ns.REGISTER, "remove") is not None:
        if len(query) > 1:
            raise BadStanza(Condition.BAD_REQUEST, "To remove a registration, send nothing else with it.")
        return Unregister()
    filled = forms.read_form(query)
    if filled is None:
        return Register(text_of(child(query, ns.REGISTER, NICK), MAX_NICK).strip())
    return RegistrationCancelled() if filled.cancelled else Register(filled.first(NICK)[:MAX_NICK])


def form(*, registered: bool, display_name: str = "") -> Xml:
    """The answer to `RegistrationAsked`, with what is registered already; also without a form, for old clients."""
    asked = (
        forms.hidden_type(ns.REGISTER),
        Field(NICK, (display_name,) if display_name else (), label="Display name"),
    )
    return tag(
        "query",
        tag("registered") if registered else NOTHING,
        leaf("instructions", INSTRUCTIONS),
        leaf(NICK, display_name),
        forms.form(Form(asked, title="Registration", instructions=INSTRUCTIONS)),
        xmlns=ns.REGISTER,
    )
