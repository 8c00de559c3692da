"""Contents of messages, both ways: what a person wrote as DM3 text, and DM3 text as what clients show.

Client-Server API, "Instant Messaging", "Rich replies", "Event replacements", "Threading". Pure: no look-ups here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.matrix.errors import BadEvent, Unfit
from adapters.matrix.fallback import strip_reply_fallback
from adapters.matrix.html import to_text
from adapters.matrix.ids import EventId, event_id
from adapters.matrix.markdown import to_html
from adapters.matrix.reading import part, text, whole

HTML: Final = "org.matrix.custom.html"
FILES: Final = frozenset({"m.image", "m.file", "m.audio", "m.video"})
BYTES: Final = "application/octet-stream"
_RESTRICTED_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE: Final = re.compile(rf"({_RESTRICTED_NAME}/{_RESTRICTED_NAME})[ \t]*(?:;.*)?", re.DOTALL)
"""RFC 6838, 4.2, and what may follow behind it."""
_MXC: Final = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_=-]{1,255})")


@dataclass(frozen=True, slots=True)
class Media:
    """A file in a homeserver's store."""

    server: str
    id: str
    name: str
    media_type: str
    size: int
    """Bytes as the sender says, 0 when they do not."""
    encryption: Mapping[str, Any] | None = None
    """``EncryptedFile`` of an encrypted room."""

    @property
    def mxc(self) -> str:
        """Its address."""
        return f"mxc://{self.server}/{self.id}"


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote."""

    text: str
    file: Media | None = None
    answers: EventId | None = None
    replaces: EventId | None = None
    emote: bool = False
    notice: bool = False
    """Written by a program: passed on, never answered."""


def read_message(content: Mapping[str, Any]) -> Written:
    """The content of ``m.room.message``; raises BadEvent without a type, Unfit for what has no text."""
    relation = part(content, "m.relates_to")
    replaces = event_id(relation.get("event_id")) if relation.get("rel_type") == "m.replace" else None
    if replaces is not None:
        new = part(content, "m.new_content")
        written = _read(new if text(new, "msgtype") else content, reply=False)
        return replace(written, replaces=replaces)
    answers = _answered(relation)
    return replace(_read(content, reply=answers is not None), answers=answers)


def read_sticker(content: Mapping[str, Any]) -> Written:
    """The content of ``m.sticker``: an image with a description."""
    return replace(
        _read({**content, "msgtype": "m.image"}, reply=False), answers=_answered(part(content, "m.relates_to"))
    )


def read_poll(content: Mapping[str, Any]) -> Written:
    """A poll as text (MSC3381, extensible events): the question and what can be chosen."""
    start = part(content, "m.poll") or part(content, "org.matrix.msc3381.poll.start")
    question, answers = _extensible(part(start, "question")), start.get("answers")
    lines = (
        [_extensible(answer) for answer in answers if isinstance(answer, Mapping)] if isinstance(answers, list) else []
    )
    if not question or not any(lines):
        raise BadEvent("poll")
    return Written("\n".join((f"Poll: {question}", *(f"{number}. {line}" for number, line in enumerate(lines, 1)))))


def read_reaction(content: Mapping[str, Any]) -> tuple[EventId, str]:
    """What is reacted to, and with what (``m.annotation``). Raises BadEvent."""
    relation = part(content, "m.relates_to")
    about, key = event_id(relation.get("event_id")), text(relation, "key")
    if about is None or not key or relation.get("rel_type") != "m.annotation":
        raise BadEvent("m.relates_to")
    return about, key[:100]


def _answered(relation: Mapping[str, Any]) -> EventId | None:
    """The message that is answered: in a thread the one named, or the thread's beginning."""
    named = event_id(part(relation, "m.in_reply_to").get("event_id"))
    if relation.get("rel_type") == "m.thread" and (named is None or relation.get("is_falling_back") is True):
        return event_id(relation.get("event_id")) or named
    return named


def _read(content: Mapping[str, Any], *, reply: bool) -> Written:
    kind = text(content, "msgtype")
    if not kind:
        raise BadEvent("msgtype")
    if kind in FILES:
        return _file(content, kind)
    words = _words(content, reply=reply)
    if kind == "m.location":
        where = text(content, "geo_uri")
        words = "\n".join(filter(None, (words, where if where.startswith("geo:") else "")))
    if not words.strip():
        raise Unfit("The message has no text.")
    return Written(words, emote=kind == "m.emote", notice=kind == "m.notice")


def _file(content: Mapping[str, Any], kind: str) -> Written:
    body, name = text(content, "body"), text(content, "filename")
    encrypted = content.get("file") if isinstance(content.get("file"), Mapping) else None
    where = _MXC.fullmatch(text(content if encrypted is None else encrypted, "url"))
    if where is None:
        raise BadEvent("url")
    info = part(content, "info")
    media = Media(
        server=where[1],
        id=where[2],
        name=name or body or kind.removeprefix("m."),
        media_type=_media_type(text(info, "mimetype")),
        size=whole(info.get("size")),
        encryption=encrypted,
    )
    caption = _words(content, reply=False) if name and body and name != body else ""
    return Written(caption, file=media)


def _media_type(said: str) -> str:
    """Without parameters, which nobody needs; what is no type is bytes. It stands in addresses, in ASCII and short."""
    found = _MEDIA_TYPE.fullmatch(said)
    return BYTES if found is None else found[1]


def _words(content: Mapping[str, Any], *, reply: bool) -> str:
    body = text(content, "body")
    if text(content, "format") == HTML and (formatted := text(content, "formatted_body")):
        words = to_text(formatted)
        if words.strip():
            return words
    return strip_reply_fallback(body) if reply else body


def _extensible(content: Mapping[str, Any]) -> str:
    """Plain text of an extensible event (MSC1767)."""
    for key in ("org.matrix.msc1767.text", "body"):
        if found := text(content, key):
            return found
    several = content.get("m.text")
    for each in several if isinstance(several, list) else ():
        if isinstance(each, Mapping) and (found := text(each, "body")):
            return found
    return ""


def text_content(words: str, *, kind: str = "m.text") -> dict[str, Any]:
    """The content of a text message; HTML only where there is something to format."""
    content: dict[str, Any] = {"msgtype": kind, "body": words, "m.mentions": {}}
    formatted = to_html(words)
    if formatted is not None:
        content |= {"format": HTML, "formatted_body": formatted}
    return content


def file_content(media_type: str, name: str, size: int, mxc: str, caption: str = "") -> dict[str, Any]:
    """The content of a message with a file, and what is said with it (since 1.10)."""
    family = media_type.partition("/")[0]
    kind = f"m.{family}" if family in ("image", "audio", "video") else "m.file"
    content: dict[str, Any] = {
        "msgtype": kind,
        "body": caption or name,
        "filename": name,
        "url": mxc,
        "info": {"mimetype": media_type, "size": size},
        "m.mentions": {},
    }
    if caption and (formatted := to_html(caption)) is not None:
        content |= {"format": HTML, "formatted_body": formatted}
    return content


def answering(content: dict[str, Any], about: EventId) -> dict[str, Any]:
    """As a reply."""
    return {**content, "m.relates_to": {"m.in_reply_to": {"event_id": about}}}


def replacing(content: dict[str, Any], about: EventId) -> dict[str, Any]:
    """As an edit, with a fallback for clients that do not know edits."""
    shown = {**content, "body": f"* {content['body']}"}
    if "formatted_body" in content:
        shown["formatted_body"] = f"* {content['formatted_body']}"
    return {**shown, "m.new_content": content, "m.relates_to": {"rel_type": "m.replace", "event_id": about}}


def reaction(key: str, about: EventId) -> dict[str, Any]:
    """The content of ``m.reaction``."""
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": about, "key": key}}
