"""Search (XEP-0055) for the address of a name. Only requests are read: a result is never answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import forms
from adapters.xmpp.services.forms import Field, Form
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import NOTHING, Xml, child, join, leaf, tag, text_of
from gateway.sdk import EnsName

MAX_RESULTS: Final = 50
MAX_TERM: Final = 300
INSTRUCTIONS: Final = "Enter an ENS name such as alice.eth; without a dot, .eth is meant."
NAME: Final = "name"
_FIELDS: Final = ("nick", "first", "last", "email")
"""Those of the specification's own: there are no others without a data form (section 3.1)."""


@dataclass(frozen=True, slots=True)
class SearchAsked:
    """What can be searched for?"""


@dataclass(frozen=True, slots=True)
class Search:
    """Whom to search; ``text`` may be empty, and ``with_form`` says how the results are to be written."""

    text: str
    with_form: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody who was found."""

    jid: Jid
    name: EnsName
    display_name: str = ""


def read(request: Request) -> SearchAsked | Search:
    """Raises BadStanza for a form that is malformed."""
    query = request.payload
    if request.kind is Kind.GET:
        return SearchAsked()
    filled = forms.read_form(query)
    if filled is not None:
        typed = (filled.first(each) for each in (NAME, *_FIELDS))
        return Search(next(filter(None, typed), "")[:MAX_TERM], with_form=True)
    texts = (text_of(child(query, ns.SEARCH, each), MAX_TERM).strip() for each in _FIELDS)
    return Search(next(filter(None, texts), ""), with_form=False)


def fields() -> Xml:
    """The answer to `SearchAsked`: a field for old clients, a form for the others."""
    asked = (forms.hidden_type(ns.SEARCH), Field(NAME, label="ENS name", required=True))
    return tag(
        "query",
        leaf("instructions", INSTRUCTIONS),
        tag("nick"),
        forms.form(Form(asked, title="Search", instructions=INSTRUCTIONS)),
        xmlns=ns.SEARCH,
    )


def results(search: Search, found: tuple[Found, ...]) -> Xml:
    """The answer to `Search`, the first `MAX_RESULTS`; in the form of the question (section 3.2)."""
    shown = found[:MAX_RESULTS]
    if search.with_form:
        columns = (
            Field("jid", kind="jid-single", label="Address"),
            Field(NAME, label="ENS name"),
            Field("nick", label="Name"),
        )
        rows = tuple((str(each.jid), str(each.name), each.display_name) for each in shown)
        return tag("query", forms.table(ns.SEARCH, columns, rows), xmlns=ns.SEARCH)
    return tag("query", *map(_item, shown), xmlns=ns.SEARCH)


def _item(found: Found) -> Xml:
    first = leaf("first", found.display_name) if found.display_name else NOTHING
    return tag("item", join(first, leaf("nick", found.name)), jid=str(found.jid))
