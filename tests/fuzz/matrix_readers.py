"""Matrix: transactions, events and their HTML, ids, and what we write as HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from adapters.matrix.content import read_message, read_poll, read_reaction, read_sticker
from adapters.matrix.depth import MAX_DEPTH, bounded, loads, too_deep
from adapters.matrix.errors import BadEvent, Unfit
from adapters.matrix.fallback import strip_reply_fallback
from adapters.matrix.html import to_text
from adapters.matrix.ids import Ids, mxid
from adapters.matrix.links import Links
from adapters.matrix.markdown import to_html
from adapters.matrix.reading import parse_json, parse_receipts, parse_room_event
from adapters.matrix.splitting import split_text
from adapters.matrix.subset import TAGS, sanitise, scrub
from adapters.matrix.transactions import native_events, read_transaction
from gateway.sdk import UnknownName
from gateway.sdk.addresses import Alias
from gateway.sdk.html import costly
from tests.fuzz.dm3_readers import JSON_WORDS
from tests.fuzz.target import Target, each, text_of

_TAG = re.compile("</?([a-zA-Z][a-zA-Z0-9-]*)")
IDS = Ids("example.org", "dm3bot")
READERS: tuple[Callable[[Mapping[str, Any]], object], ...] = (read_message, read_sticker, read_poll, read_reaction)


def transaction(data: bytes) -> None:
    """What a homeserver pushes: each event is kept as it came, and can be written down and read again."""
    read = read_transaction(data)
    for each_one in (*read.events, *read.ephemeral):
        assert each_one.payload in bounded(data)
    for event in native_events(read, IDS.is_ours):
        event.lane.encode()
        event.key.encode()
        try:
            raw = parse_json(event.payload)
        except BadEvent:
            continue
        room_event(raw)


def event(data: bytes) -> None:
    """One event of a room."""
    room_event(parse_json(data))


def room_event(raw: object) -> None:
    """Its ids can be used, and its content is read or named bad."""
    for whole in (parse_receipts, parse_room_event):
        try:
            whole(raw)
        except BadEvent:
            continue
    try:
        read = parse_room_event(raw)
    except BadEvent:
        return
    IDS.voice(read.room)
    for own in (read.room, read.id, read.sender):
        own.encode()
    for reader in READERS:
        try:
            reader(read.content)
        except (BadEvent, Unfit):
            continue


def content(data: bytes) -> None:
    """The content of a message alone, so that more of it is tried; all its words can be written down."""
    value = parse_json(data)
    if not isinstance(value, Mapping):
        return
    written = read_message(value)
    written.text.encode()
    for about in (written.answers, written.replaces, None if written.file is None else written.file.mxc):
        assert about is None or about.encode()


def deep(data: bytes) -> None:
    """Never fails but by name, and what is not too deep is left as it is."""
    assert too_deep(data) or bounded(data) == data
    try:
        found = loads(data)
    except ValueError:
        return
    assert _depth(found) <= MAX_DEPTH
    if not too_deep(data):
        assert repr(found) == repr(json.loads(data))


def _depth(value: object) -> int:
    inside: list[object] = []
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, list):
        inside = value
    else:
        return 0
    return 1 + max(map(_depth, inside), default=0)


def user(data: bytes) -> None:
    """A ghost has one id."""
    text = text_of(data)
    found = mxid(text)
    name = IDS.named_by(text if found is None else found)
    if not isinstance(name, Alias):
        assert IDS.ghost(name)[0] == text


def html(data: bytes) -> None:
    """Words that can be written down, without controls; and of the HTML what is allowed."""
    text = text_of(data)
    found = to_text(text)
    found.encode()
    assert scrub(found) == found
    if not costly(text):
        assert {tag.lower() for tag in _TAG.findall(sanitise(scrub(text)))} <= TAGS


def markdown(data: bytes) -> None:
    """What we write as HTML is in the subset."""
    made = to_html(text_of(data))
    assert made is None or not {"<script", "<img", "<iframe"} & set(made.lower().split())
    if made is not None:
        made.encode()


def parts(data: bytes) -> None:
    """Long texts in parts that fit, of which nothing but blanks is lost."""
    text = data.decode("utf-8", "ignore")
    found = split_text(text, 20)
    assert all(len(one.encode()) <= 20 for one in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert text.endswith(strip_reply_fallback(text))


def link(data: bytes) -> None:
    """Nobody makes a link of ours."""
    until, mac, media = [*data.decode("utf-8", "replace").split("\n"), "", "", ""][:3]
    assert not Links("https://gw.example", b"\6" * 32).permits(until, mac, "example.org", media, "image/png", 1)


_EVENT: dict[str, Any] = {
    "type": "m.room.message",
    "room_id": "!r:example.org",
    "sender": "@bob:example.org",
    "event_id": "$1",
    "origin_server_ts": 1_750_000_000_000,
    "content": {
        "msgtype": "m.text",
        "body": "> <@a:b> hi\n\nyes",
        "format": "org.matrix.custom.html",
        "formatted_body": "<mx-reply>x</mx-reply><b>yes</b>",
        "m.relates_to": {"m.in_reply_to": {"event_id": "$0"}, "rel_type": "m.thread", "event_id": "$2"},
    },
}
_FILE = {
    "msgtype": "m.image",
    "body": "a",
    "filename": "a.png",
    "url": "mxc://example.org/abc",
    "info": {"mimetype": "image/png", "size": 7},
    "file": {"url": "mxc://example.org/abc", "key": {"k": "x"}, "iv": "y", "hashes": {"sha256": "z"}},
}
_EDIT = {
    "m.relates_to": {"rel_type": "m.replace", "event_id": "$1"},
    "m.new_content": _EVENT["content"],
    "msgtype": "m.text",
}
_POLL = {"m.poll": {"question": {"m.text": [{"body": "q"}]}, "answers": [{"m.text": [{"body": "a"}]}]}}
_REACTION = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$1", "key": "👍"}}
_RECEIPT = {"type": "m.receipt", "room_id": "!r:b", "content": {"$1": {"m.read": {"@a:b": {"ts": 1}}}}}
_TRANSACTION = {"events": [_EVENT, {**_EVENT, "content": _REACTION}, 7], "de.sorunome.msc2409.ephemeral": [_RECEIPT]}
_WORDS = (
    *JSON_WORDS,
    '"m.relates_to"',
    '"body"',
    '"msgtype"',
    '"events"',
    '"ephemeral"',
    '"m.text"',
    '"\\ud83d"',
    "mxc://",
    '"geo_uri"',
)
_TAGS = (
    "<",
    ">",
    "</",
    "<b>",
    "<li>",
    "<ol start=",
    "<table>",
    "<blockquote>",
    "<a href=",
    "<span data-mx-spoiler>",
    "<mx-reply>",
    "<pre><code>",
    "&lt;",
    "<br",
    "<details>",
)
_HTML = (
    '<p>Hi <b>b</b> <a href="https://matrix.to/#/@a:b">A</a></p><ul><li>a<ol start="3"><li>b</ol></ul><pre>x</pre>',
    '<span data-mx-spoiler="r">s</span><table><tr><td>a</td></tr></table><mx-reply>x</mx-reply>&amp;',
)

TARGETS = (
    Target("transaction", transaction, (json.dumps(_TRANSACTION).encode(),), _WORDS, (BadEvent,)),
    Target(
        "room-event",
        event,
        tuple(
            json.dumps(one).encode()
            for one in (_EVENT, {**_EVENT, "content": _POLL}, {**_EVENT, "room_id": "!\ud800"}, _RECEIPT)
        ),
        _WORDS,
        (BadEvent,),
    ),
    Target(
        "message-content",
        content,
        tuple(json.dumps(one).encode() for one in (_EVENT["content"], _FILE, _EDIT)),
        _WORDS,
        (BadEvent, Unfit),
    ),
    Target("deep-json", deep, (b"[" * 70 + b"]" * 70, b'{"a":"[\\"{"}'), JSON_WORDS),
    Target(
        "matrix-user",
        user,
        each("@dm3_alice.eth:example.org", "@dm3_=f0=9f=92=a9.eth:example.org"),
        ("@", ":example.org", "=61"),
        (UnknownName,),
        400,
    ),
    Target("matrix-html", html, each(*_HTML), _TAGS),
    Target(
        "markdown",
        markdown,
        each("**b** _i_ `c`\n\n> q\n\n1. a\n   - b\n\n```\nx\n```\n||s|| [l](https://a.example) ![i](x)"),
        ("**", "||", "[", "](", "```", "> ", "\n\n"),
    ),
    Target(
        "text-parts",
        parts,
        each("a b c d e f g h i j k l m n o p q r s t u v", "👩‍👧" * 9, "> <@a:b> x\n> y\n\nz"),
        ("\n\n", " ", "\u200d", "> "),
        max_bytes=300,
    ),
    Target("media-link", link, each("1\n" + "0" * 64 + "\nabc")),
)
