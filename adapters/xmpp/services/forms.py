"""Data forms (XEP-0004), which most services ask and answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.xml import NOTHING, Xml, attribute, child, children, leaf, tag, text_of

MAX_FIELDS: Final = 50
MAX_VALUES: Final = 50
MAX_VALUE: Final = 2_000
FORM_TYPE: Final = "FORM_TYPE"
TRUE: Final = frozenset({"1", "true"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form that we send; ``kind`` is its type of XEP-0004, section 3.3."""

    var: str
    values: tuple[str, ...] = ()
    kind: str = "text-single"
    label: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form that we send: to be filled in (``form``), or a ``result``."""

    fields: tuple[Field, ...]
    kind: str = "form"
    title: str = ""
    instructions: str = ""


def hidden_type(text: str) -> Field:
    """Says what the fields of a form mean (XEP-0068)."""
    return Field(FORM_TYPE, (text,), "hidden")


def fixed(text: str) -> Field:
    """Text between the fields."""
    return Field("", (text,), "fixed")


def form(made: Form) -> Xml:
    """As XML."""
    title = leaf("title", made.title) if made.title else NOTHING
    instructions = leaf("instructions", made.instructions) if made.instructions else NOTHING
    return tag("x", title, instructions, *map(_field, made.fields), xmlns=ns.DATA_FORM, type=made.kind)


def table(type_of: str, columns: tuple[Field, ...], rows: tuple[tuple[str, ...], ...]) -> Xml:
    """Several results of the same fields (XEP-0004, section 3.4); each row has a value for each column."""
    reported = tag("reported", *map(_field, columns))
    items = (
        tag(
            "item",
            *(tag("field", leaf("value", value), var=column.var) for column, value in zip(columns, row, strict=True)),
        )
        for row in rows
    )
    return tag("x", _field(hidden_type(type_of)), reported, *items, xmlns=ns.DATA_FORM, type="result")


def _field(field: Field) -> Xml:
    required = tag("required") if field.required else NOTHING
    values = (leaf("value", each) for each in field.values)
    return tag("field", required, *values, var=field.var or None, type=field.kind, label=field.label or None)


@dataclass(frozen=True, slots=True)
class Filled:
    """A field that somebody filled in."""

    var: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A form that came back."""

    fields: tuple[Filled, ...] = ()
    cancelled: bool = False

    def values(self, var: str) -> tuple[str, ...]:
        """What stands in a field; nothing for one that is not there."""
        return next((each.values for each in self.fields if each.var == var), ())

    def first(self, var: str) -> str:
        """Its only value, or the first; "" when there is none."""
        return next(iter(self.values(var)), "").strip()

    def is_on(self, var: str) -> bool:
        """A field of yes and no (XEP-0004, section 3.3, boolean)."""
        return self.first(var) in TRUE


def read_form(parent: Element) -> Submitted | None:
    """The form in an element, None without one. Raises BadStanza for one that is neither submitted nor cancelled."""
    found = child(parent, ns.DATA_FORM, "x")
    if found is None:
        return None
    kind = attribute(found, "type")
    if kind == "cancel":
        return Submitted(cancelled=True)
    if kind != "submit":
        raise BadStanza(Condition.BAD_REQUEST, "A form comes back as submit or as cancel.")
    fields = children(found, ns.DATA_FORM, "field")
    if len(fields) > MAX_FIELDS:
        raise BadStanza(Condition.NOT_ACCEPTABLE, "The form has too many fields.")
    return Submitted(tuple(Filled(attribute(each, "var", 200), _values(each)) for each in fields))


def _values(field: Element) -> tuple[str, ...]:
    values = children(field, ns.DATA_FORM, "value")
    if len(values) > MAX_VALUES:
        raise BadStanza(Condition.NOT_ACCEPTABLE, "A field of the form has too many values.")
    return tuple(text_of(each, MAX_VALUE) for each in values)
