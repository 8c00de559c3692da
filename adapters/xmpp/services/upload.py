"""A place for a file at the peer's server (XEP-0363): we ask, so that questions are written here and answers read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.xml import Xml, attribute, child, children, cut_text_of, tag, text_of

MAX_NAME: Final = 200
MAX_HEADER: Final = 4_000
_WEB: Final = re.compile(r"https?://[^\s\x00-\x20]{1,4088}", re.IGNORECASE)
_SIZE: Final = re.compile(r"[0-9]{1,15}")
_HEADERS: Final = frozenset({"authorization", "cookie", "expires"})
"""All that a client may take over (section 5); line ends in them would make further ones."""


@dataclass(frozen=True, slots=True)
class Header:
    """Goes with the upload."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the file is put, and where it is then found."""

    put: str
    get: str
    headers: tuple[Header, ...] = ()


def ask_slot(name: str, size: int, media_type: str) -> Xml:
    """Payload of a get to the service; ``size`` in bytes."""
    return tag("request", xmlns=ns.UPLOAD, filename=name[:MAX_NAME], size=size, content_type=media_type or None)


def read_slot(answer: Element | None) -> Slot:
    """Raises BadStanza for an answer that holds no two addresses."""
    slot = answer if answer is not None else Element("none")
    put, get = child(slot, ns.UPLOAD, "put"), child(slot, ns.UPLOAD, "get")
    if put is None or get is None:
        raise BadStanza(Condition.BAD_REQUEST, "The answer holds no place for a file.")
    headers = (
        Header(attribute(each, "name").strip(), text_of(each, MAX_HEADER))
        for each in children(put, ns.UPLOAD, "header")
    )
    kept = tuple(
        each for each in headers if each.name.lower() in _HEADERS and "\r" not in each.value and "\n" not in each.value
    )
    return Slot(_address(put), _address(get), kept)


def read_limit(info: Element | None) -> int | None:
    """Bytes of the largest file, from a service's answer to disco#info; None when this is no such service.

    0 when it names no limit.
    """
    if info is None or all(attribute(each, "var") != ns.UPLOAD for each in children(info, ns.DISCO_INFO, "feature")):
        return None
    for form in children(info, ns.DATA_FORM, "x"):
        for field in children(form, ns.DATA_FORM, "field"):
            if attribute(field, "var") == "max-file-size":
                size = cut_text_of(child(field, ns.DATA_FORM, "value"), 20).strip()
                return int(size) if _SIZE.fullmatch(size) else 0
    return 0


def _address(element: Element) -> str:
    url = attribute(element, "url", 4_096)
    if not _WEB.fullmatch(url):
        raise BadStanza(Condition.BAD_REQUEST, "The place for a file is no address on the web.")
    return url
