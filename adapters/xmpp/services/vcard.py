"""Cards and pictures of contacts (XEP-0054, XEP-0153, XEP-0292, XEP-0084), from what their names' records show.

They come as a request of their own, or as items of nodes as a server would keep them for its users (XEP-0163).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import NOTHING, Xml, attribute, child, children, leaf, name_of, tag
from gateway.sdk import EnsName, FileContent, Portrait

MAX_PICTURE_BYTES: Final = 140_000
"""In base64 it still fits into a stanza; a larger one is none."""
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
CURRENT: Final = "current"
MAX_ID: Final = 200


@dataclass(frozen=True, slots=True)
class CardAsked:
    """The old card (XEP-0054)."""


@dataclass(frozen=True, slots=True)
class Card4Asked:
    """The card of RFC 6350 (XEP-0292); ``as_item`` when it was asked for as the item of a node."""

    as_item: bool


@dataclass(frozen=True, slots=True)
class MetadataAsked:
    """What picture is there? (XEP-0084, section 4.2)"""


@dataclass(frozen=True, slots=True)
class PictureAsked:
    """The picture (XEP-0084, section 4.1); ``id`` is that of its metadata, or empty for the one there is."""

    id: str


Asked = CardAsked | Card4Asked | MetadataAsked | PictureAsked


def called(name: EnsName, portrait: Portrait) -> str:
    """What people see: the name always, because anybody may call themselves anything beside it."""
    return f"{name} ({portrait.display_name})" if portrait.display_name not in ("", name) else name


def read(request: Request) -> CardAsked | Card4Asked:
    """A card. Raises BadStanza for somebody who wants to change a contact's."""
    if request.kind is not Kind.GET:
        raise BadStanza(Condition.NOT_ALLOWED, "The card of a contact is made from the records of its name.")
    return CardAsked() if name_of(request.payload)[0] == ns.VCARD_TEMP else Card4Asked(as_item=False)


def read_items(request: Request) -> Card4Asked | MetadataAsked | PictureAsked:
    """Items of a node (XEP-0060, section 6.5). Raises BadStanza: item-not-found for a node that nobody has here."""
    asked = child(request.payload, ns.PUBSUB, "items")
    if request.kind is not Kind.GET or asked is None:
        raise BadStanza(Condition.FEATURE_NOT_IMPLEMENTED, "Nodes of contacts can only be read.")
    match attribute(asked, "node"):
        case ns.VCARD4_NODE:
            return Card4Asked(as_item=True)
        case ns.AVATAR_METADATA:
            return MetadataAsked()
        case ns.AVATAR_DATA:
            wanted = children(asked, ns.PUBSUB, "item")
            return PictureAsked(attribute(wanted[0], "id", MAX_ID) if wanted else "")
        case _:
            raise BadStanza(Condition.ITEM_NOT_FOUND, "There is no such node.")


def picture_of(portrait: Portrait) -> FileContent | None:
    """The picture, when it is one that clients show and servers carry."""
    picture = portrait.picture
    if picture is None or picture.media_type not in _PICTURES or not 0 < len(picture.data) <= MAX_PICTURE_BYTES:
        return None
    return picture


def photo_hash(portrait: Portrait) -> str:
    """SHA-1 of the picture in hex, as presence announces it (XEP-0153, section 2); empty for none."""
    picture = picture_of(portrait)
    return "" if picture is None else _sha1(picture)


def card(name: EnsName, jid: Jid, portrait: Portrait) -> Xml:
    """The answer to `CardAsked`."""
    picture = picture_of(portrait)
    photo = NOTHING
    if picture is not None:
        photo = tag("PHOTO", leaf("TYPE", picture.media_type), leaf("BINVAL", _base64(picture)))
    return tag(
        "vCard",
        leaf("FN", called(name, portrait)),
        leaf("NICKNAME", name),
        leaf("JABBERID", str(jid.bare)),
        photo,
        xmlns=ns.VCARD_TEMP,
    )


def card4(name: EnsName, jid: Jid, portrait: Portrait) -> Xml:
    """The answer to `Card4Asked`; the picture has a node of its own and is left out."""
    return tag(
        "vcard",
        tag("fn", leaf("text", called(name, portrait))),
        tag("nickname", leaf("text", name)),
        tag("impp", leaf("uri", f"xmpp:{jid.bare}")),
        xmlns=ns.VCARD4,
    )


def card4_item(name: EnsName, jid: Jid, portrait: Portrait) -> Xml:
    """The answer to `Card4Asked` as an item."""
    return _items(ns.VCARD4_NODE, tag("item", card4(name, jid, portrait), id=CURRENT))


def metadata(portrait: Portrait) -> Xml:
    """The answer to `MetadataAsked`."""
    return _items(ns.AVATAR_METADATA, metadata_item(portrait))


def metadata_item(portrait: Portrait) -> Xml:
    """The item of the metadata node; one without information when there is no picture (XEP-0084, section 3.5)."""
    picture = picture_of(portrait)
    if picture is None:
        return tag("item", tag("metadata", xmlns=ns.AVATAR_METADATA), id=CURRENT)
    own = _sha1(picture)
    about = tag("info", id=own, bytes=len(picture.data), type=picture.media_type)
    return tag("item", tag("metadata", about, xmlns=ns.AVATAR_METADATA), id=own)


def picture(portrait: Portrait, wanted: str) -> Xml:
    """The answer to `PictureAsked`. Raises BadStanza when there is none, or none of this id any more."""
    found = picture_of(portrait)
    if found is None or wanted not in ("", _sha1(found)):
        raise BadStanza(Condition.ITEM_NOT_FOUND, "There is no such picture.")
    return _items(ns.AVATAR_DATA, tag("item", leaf("data", _base64(found), xmlns=ns.AVATAR_DATA), id=_sha1(found)))


def _items(node: str, item: Xml) -> Xml:
    return tag("pubsub", tag("items", item, node=node), xmlns=ns.PUBSUB)


def _sha1(picture: FileContent) -> str:
    return hashlib.sha1(picture.data, usedforsecurity=False).hexdigest()


def _base64(picture: FileContent) -> str:
    return base64.b64encode(picture.data).decode()
