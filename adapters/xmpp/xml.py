"""XML, written and read: text that no stream breaks on, and elements of strangers within bounds.

Strings become markup only by `escape` and `tag`, so `Xml` is never taken for text. What a server would close the
stream for (XML 1.0, section 2.2; RFC 6120, sections 4.9.3.13 and 11.1) is taken out here, and looked for once more by
`well_formed` before anything is sent.
"""

from __future__ import annotations

import re
from typing import Final, NewType
from xml.etree.ElementTree import Element
from xml.parsers import expat

from adapters.xmpp.errors import BadStanza, Condition

Xml = NewType("Xml", str)
"""Markup: whole elements, or text that is escaped."""

MAX_STANZA_BYTES: Final = 200_000
"""Of UTF-8: what was seen to pass at servers, which take 256 KiB and more."""
MAX_ATTRIBUTE: Final = 3_100
"""Characters of an attribute that is read; a JID is the longest, with three parts of 1023 bytes."""
MAX_DEPTH: Final = 20
"""Of an element that is copied."""
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_FORBIDDEN: Final = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_PLAIN: Final = re.compile("[ !#-%(-;=?-~]*")
"""ASCII without what is escaped."""
_LINE_END: Final = re.compile(r"\r\n?")
_BLANK: Final = re.compile(r"[\t\n]")


def clean(text: str) -> str:
    """Text as it arrives: without characters that XML 1.0 has no form for, and with LF as the only line end."""
    return _LINE_END.sub("\n", _FORBIDDEN.sub("", text))


def escape(text: str) -> Xml:
    """Text between tags; ``>`` too, because ``]]>`` must not stand there."""
    return Xml(clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def attribute_value(text: str) -> Xml:
    """Text of an attribute, without its quotation marks; a line end is a blank there (XML 1.0, section 3.3.3)."""
    if _PLAIN.fullmatch(text):
        return Xml(text)
    return Xml(_BLANK.sub(" ", escape(text)).replace('"', "&quot;").replace("'", "&apos;"))


def tag(element: str, /, *children: Xml, xmlns: str = "", **attributes: str | int | None) -> Xml:
    """An element. An attribute that is None is left out; ``from_`` is written ``from`` and ``content_type`` with ``-``.

    Names are ours and not checked.
    """
    written = [f' xmlns="{xmlns}"'] if xmlns else []
    for key, value in attributes.items():
        if value is not None:
            written.append(f' {key.rstrip("_").replace("_", "-")}="{attribute_value(str(value))}"')
    inside = "".join(children)
    opened = f"<{element}{''.join(written)}"
    return Xml(f"{opened}>{inside}</{element}>" if inside else f"{opened}/>")


def leaf(element: str, text: str, /, *, xmlns: str = "", **attributes: str | int | None) -> Xml:
    """An element that holds text."""
    return tag(element, escape(text), xmlns=xmlns, **attributes)


def join(*parts: Xml) -> Xml:
    """One after another."""
    return Xml("".join(parts))


NOTHING: Final = Xml("")


class _NotAllowed(Exception):
    pass


def well_formed(text: str) -> bool:
    """Whether this is one element, whole, at most `MAX_STANZA_BYTES` long, and within what RFC 6120, 11.1 allows.

    No comments, processing instructions, declarations or document types, and no prefix that is not declared.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return False
    if len(data) > MAX_STANZA_BYTES:
        return False
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartDoctypeDeclHandler = _refuse
    parser.XmlDeclHandler = _refuse
    parser.CommentHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _NotAllowed):
        return False
    return True


def _refuse(*_: object) -> None:
    raise _NotAllowed


def name_of(element: Element) -> tuple[str, str]:
    """Namespace and local name; two empty texts for what is no element (a comment has a function for its tag)."""
    tag_of: object = element.tag
    if not isinstance(tag_of, str):
        return "", ""
    namespace, brace, name = tag_of.rpartition("}")
    return (namespace.removeprefix("{"), name) if brace else ("", tag_of)


def child(element: Element, namespace: str, name: str) -> Element | None:
    """The first child of this name."""
    return element.find(_tag(namespace, name))


def children(element: Element, namespace: str, name: str) -> list[Element]:
    """All children of this name."""
    return element.findall(_tag(namespace, name))


def _tag(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name


def text_of(element: Element | None, limit: int) -> str:
    """Its text, "" without one; BadStanza over ``limit`` characters. Child elements end it."""
    text = _read("" if element is None else element.text)
    if len(text) > limit:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"A text has {len(text)} characters; at most {limit} are taken.")
    return text


def cut_text_of(element: Element | None, limit: int) -> str:
    """The beginning of its text, for what may be shortened."""
    return _read("" if element is None else (element.text or "")[: 2 * limit])[:limit]


def attribute(element: Element | None, name: str, limit: int = MAX_ATTRIBUTE) -> str:
    """An attribute, "" when it is absent; BadStanza over ``limit`` characters."""
    value = _read("" if element is None else element.get(name))
    if len(value) > limit:
        raise BadStanza(Condition.BAD_REQUEST, f"The attribute {name} is too long.")
    return value


def copied(element: Element, within: str, depth: int = MAX_DEPTH) -> Xml:
    """An element of somebody else's as our own markup; ``within`` is the namespace of the element around it.

    Attributes of foreign namespaces are left out, except the language. Raises BadStanza for what is nested too deep.
    """
    namespace, name = name_of(element)
    if not depth:
        raise BadStanza(Condition.NOT_ACCEPTABLE, "The message is nested too deep.")
    if not name:
        return NOTHING
    written = [f' xmlns="{attribute_value(namespace)}"'] if namespace != within else []
    for key, value in element.attrib.items():
        if key == LANG:
            key = "xml:lang"
        if "}" not in key:
            written.append(f' {key}="{attribute_value(value)}"')
    inside = "".join(
        (
            escape(element.text or ""),
            *(copied(each, namespace, depth - 1) + escape(each.tail or "") for each in element),
        )
    )
    return Xml(f"<{name}{''.join(written)}>{inside}</{name}>")


def _read(value: object) -> str:
    return _FORBIDDEN.sub("", value) if isinstance(value, str) else ""
