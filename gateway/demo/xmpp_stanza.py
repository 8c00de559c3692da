"""What comes over an XMPP stream, as it came (RFC 6120, section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

CLIENT: Final = "jabber:client"
STANZAS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
FORMS: Final = "jabber:x:data"
XML: Final = "http://www.w3.org/XML/1998/namespace"
_WITHOUT_NAMESPACE: Final = re.compile(r"(^|/)(?=[^/.*{@\[])")


class XmppFault(Exception):
    """An error of somebody's: the condition (RFC 6120, 8.3.3, or 4.9.3 and 6.5 for the stream and the login)."""

    def __init__(self, condition: str, text: str = "", *, kind: str = "", xml: Element | None = None) -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text
        self.kind = kind
        """``auth``, ``cancel``, ``continue``, ``modify`` or ``wait``; empty for the stream and the login."""
        self.xml = xml
        """The whole ``error`` element."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """A message, presence or iq with its raw XML. As text it is that XML."""

    xml: Element

    @property
    def name(self) -> str:
        """``message``, ``presence`` or ``iq``."""
        return _split(self.xml.tag)[1]

    @property
    def id(self) -> str:
        """Empty where there is none."""
        return self.xml.get("id", "")

    @property
    def type(self) -> str:
        """The attribute, or what its absence means: ``normal`` for messages, ``available`` for presences."""
        return self.xml.get("type") or {"message": "normal", "presence": "available"}.get(self.name, "")

    @property
    def sender(self) -> str:
        """The full address it is from; empty where the server speaks without one."""
        return self.xml.get("from", "")

    @property
    def bare(self) -> str:
        """The sender without a resource."""
        return bare(self.sender)

    @property
    def to(self) -> str:
        """The address it is to."""
        return self.xml.get("to", "")

    @property
    def body(self) -> str | None:
        """Text of the first body, if there is one (RFC 6121, 5.2.3)."""
        return self.text(f"{{{CLIENT}}}body")

    @property
    def fault(self) -> XmppFault | None:
        """What was refused, when this is an error."""
        error = self.xml.find(f"{{{CLIENT}}}error")
        return None if error is None else fault_of(error)

    def find(self, path: str) -> Element | None:
        """The first element at a path of ElementTree; steps without a namespace are of any."""
        return self.xml.find(_any_namespace(path))

    def all(self, path: str) -> list[Element]:
        """All elements at a path, like ``find``."""
        return self.xml.findall(_any_namespace(path))

    def has(self, path: str) -> bool:
        """True when there is an element at a path; for predicates, because elements have no truth value."""
        return self.find(path) is not None

    def text(self, path: str) -> str | None:
        """Text of the first element at a path, "" where it is empty; None when there is no element."""
        found = self.find(path)
        return None if found is None else found.text or ""

    def get(self, path: str, attribute: str) -> str | None:
        """An attribute of the first element at a path; None when one of both is missing."""
        found = self.find(path)
        return None if found is None else found.get(attribute)

    def __str__(self) -> str:
        return written(self.xml)


def bare(jid: str) -> str:
    """An address without its resource (RFC 7622, 3.1)."""
    return jid.partition("/")[0]


def element(tag: str, attributes: Mapping[str, str | None] | None = None, *content: str, text: str = "") -> str:
    """An element as text: attributes that are None are left out, `text` is escaped, `content` is XML already."""
    named = "".join(f" {name}={quoteattr(value)}" for name, value in (attributes or {}).items() if value is not None)
    inner = escape(text) + "".join(content)
    return f"<{tag}{named}>{inner}</{tag}>" if inner else f"<{tag}{named}/>"


def written(xml: Element, within: str = CLIENT) -> str:
    """An element as text, with a namespace where it is another than that of the element around it, as in streams."""
    namespace, name = _split(xml.tag)
    attributes = {"xmlns": namespace} if namespace != within else {}
    for key, value in xml.items():
        of, local = _split(key)
        attributes[f"xml:{local}" if of == XML else local] = value
    children = (written(child, namespace) + escape(child.tail or "") for child in xml)
    return element(name, attributes, *children, text=xml.text or "")


def fault_of(error: Element) -> XmppFault:
    """From an ``error`` element of a stanza (RFC 6120, 8.3.2)."""
    conditions = [child for child in error if child.tag.startswith(f"{{{STANZAS}}}")]
    names = [child.tag.rpartition("}")[2] for child in conditions]
    text = "".join(child.text or "" for child, name in zip(conditions, names, strict=True) if name == "text")
    condition = next((name for name in names if name != "text"), "undefined-condition")
    return XmppFault(condition, text, kind=error.get("type", ""), xml=error)


def form(fields: Mapping[str, str | Iterable[str] | bool], kind: str = "submit") -> str:
    """A data form as text (XEP-0004); several values of a field are an iterable."""
    return element("x", {"xmlns": FORMS, "type": kind}, *(_field(name, value) for name, value in fields.items()))


def form_values(form: Element) -> dict[str, list[str]]:
    """What each named field of a data form holds (XEP-0004)."""
    fields = (field for field in form.iter(f"{{{FORMS}}}field") if field.get("var"))
    return {field.get("var", ""): list(_values(field)) for field in fields}


def _split(tag: str) -> tuple[str, str]:
    namespace, _, name = tag.rpartition("}")
    return namespace.removeprefix("{"), name


def _field(name: str, value: str | Iterable[str] | bool) -> str:
    if isinstance(value, bool):
        value = "1" if value else "0"
    values = [value] if isinstance(value, str) else value
    return element("field", {"var": name}, *(element("value", text=each) for each in values))


def _values(field: Element) -> Iterator[str]:
    for value in field.iterfind(f"{{{FORMS}}}value"):
        yield value.text or ""


def _any_namespace(path: str) -> str:
    # Namespaces hold slashes themselves, so steps of paths that name one are left alone.
    return path if "{" in path else _WITHOUT_NAMESPACE.sub(r"\1{*}", path)
