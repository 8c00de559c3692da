"""Contents of messages: what a person wrote as DM3 text, and DM3 text as what clients show."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.matrix.content import (
    answering,
    file_content,
    read_message,
    read_poll,
    read_reaction,
    read_sticker,
    replacing,
    text_content,
)
from adapters.matrix.errors import BadEvent, Unfit
from adapters.matrix.ids import EventId

HTML = "org.matrix.custom.html"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"msgtype": "m.text", "body": "plain *text*"}, "plain *text*"),
        (
            {"msgtype": "m.text", "body": "x", "format": HTML, "formatted_body": "<b>bold</b> <i>move</i>"},
            "**bold** *move*",
        ),
        ({"msgtype": "m.text", "body": "x", "format": "other", "formatted_body": "<b>bold</b>"}, "x"),
        (
            {"msgtype": "m.text", "body": "only this", "format": HTML, "formatted_body": "<mx-reply>q</mx-reply>"},
            "only this",
        ),
        ({"msgtype": "m.weird", "body": "something new"}, "something new"),
        ({"msgtype": "m.location", "body": "Here", "geo_uri": "geo:1,2"}, "Here\ngeo:1,2"),
        ({"msgtype": "m.location", "body": "Here", "geo_uri": "javascript:1"}, "Here"),
    ],
)
def test_texts(content: dict[str, Any], text: str) -> None:
    assert read_message(content).text == text


@pytest.mark.parametrize("kind", ["m.emote", "m.notice"])
def test_emotes_and_notices_are_marked(kind: str) -> None:
    written = read_message({"msgtype": kind, "body": "waves"})
    assert (written.emote, written.notice) == (kind == "m.emote", kind == "m.notice")


@pytest.mark.parametrize("content", [{}, {"body": "x"}, {"msgtype": 1, "body": "x"}])
def test_a_message_has_a_type(content: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match="msgtype"):
        read_message(content)


def test_a_message_without_words_does_not_fit() -> None:
    with pytest.raises(Unfit, match="no text"):
        read_message({"msgtype": "m.text", "body": " \n"})


def test_a_reply_loses_its_fallback() -> None:
    written = read_message(
        {
            "msgtype": "m.text",
            "body": "> <@bob:example.org> first\n\nsecond",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$first"}},
        }
    )
    assert (written.text, written.answers) == ("second", "$first")


@pytest.mark.parametrize(
    ("relation", "answers"),
    [
        ({"rel_type": "m.thread", "event_id": "$root"}, "$root"),
        (
            {
                "rel_type": "m.thread",
                "event_id": "$root",
                "m.in_reply_to": {"event_id": "$last"},
                "is_falling_back": True,
            },
            "$root",
        ),
        ({"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$that"}}, "$that"),
        ({"m.in_reply_to": {"event_id": 5}}, None),
        ([], None),
    ],
)
def test_threads_become_replies(relation: Any, answers: str | None) -> None:
    assert read_message({"msgtype": "m.text", "body": "x", "m.relates_to": relation}).answers == answers


def test_an_edit_is_read_from_its_new_content() -> None:
    written = read_message(
        {
            "msgtype": "m.text",
            "body": "* better",
            "m.new_content": {"msgtype": "m.text", "body": "better"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
        }
    )
    assert (written.text, written.replaces, written.answers) == ("better", "$first", None)


@pytest.mark.parametrize(
    ("content", "name", "caption"),
    [
        ({"body": "cat.png"}, "cat.png", ""),
        ({"body": "cat.png", "filename": "cat.png"}, "cat.png", ""),
        ({"body": "look at her", "filename": "cat.png"}, "cat.png", "look at her"),
        ({"body": ""}, "image", ""),
    ],
)
def test_files_and_captions(content: dict[str, Any], name: str, caption: str) -> None:
    written = read_message(
        {"msgtype": "m.image", "url": "mxc://example.org/abc", "info": {"mimetype": "image/png", "size": 7}, **content}
    )
    assert written.file is not None
    assert (written.file.name, written.file.mxc, written.file.size) == (name, "mxc://example.org/abc", 7)
    assert written.text == caption


@pytest.mark.parametrize(
    "url", [None, "", 5, "https://example.org/x", "mxc://example.org", "mxc://a/b/c", "mxc://a/../b"]
)
def test_a_file_has_an_address_in_a_homeserver(url: object) -> None:
    with pytest.raises(BadEvent, match="url"):
        read_message({"msgtype": "m.file", "body": "x", "url": url})


@pytest.mark.parametrize(
    ("said", "media_type"),
    [
        ("image/png", "image/png"),
        ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        ("image/svg+xml", "image/svg+xml"),
        ("audio/ogg; codecs=opus", "audio/ogg"),
        ("text/plain;charset=utf-8", "text/plain"),
        (f"a/{'x' * 127}", f"a/{'x' * 127}"),
        (f"a/{'x' * 128}", "application/octet-stream"),
        (f"{'x' * 128}/a", "application/octet-stream"),
        ("image/pn\N{LATIN SMALL LETTER G WITH BREVE}", "application/octet-stream"),
        ("image/png\r\nX: y", "application/octet-stream"),
        ("image/png\n", "application/octet-stream"),
        ("image", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("/", "application/octet-stream"),
        ("", "application/octet-stream"),
        (None, "application/octet-stream"),
        (7, "application/octet-stream"),
    ],
)
def test_a_type_that_is_none_is_bytes(said: object, media_type: str) -> None:
    content = {"msgtype": "m.file", "body": "x", "url": "mxc://example.org/abc", "info": {"mimetype": said}}
    written = read_message(content)
    assert written.file is not None
    assert written.file.media_type == media_type


def test_a_file_of_an_encrypted_room_says_so() -> None:
    written = read_message({"msgtype": "m.file", "body": "x", "file": {"url": "mxc://example.org/abc", "key": {}}})
    assert written.file is not None
    assert written.file.encryption is not None


def test_a_sticker_is_a_picture() -> None:
    written = read_sticker({"body": "cat", "url": "mxc://example.org/abc", "info": {"mimetype": "image/png"}})
    assert written.file is not None
    assert written.file.media_type == "image/png"


def test_a_poll_is_a_text() -> None:
    start = {
        "question": {"org.matrix.msc1767.text": "Tea?"},
        "answers": [{"id": "1", "org.matrix.msc1767.text": "Yes"}, {"id": "2", "m.text": [{"body": "No"}]}],
    }
    assert read_poll({"org.matrix.msc3381.poll.start": start}).text == "Poll: Tea?\n1. Yes\n2. No"


def test_a_reaction_needs_event_and_key() -> None:
    whole = {"rel_type": "m.annotation", "event_id": "$a", "key": "\N{THUMBS UP SIGN}"}
    assert read_reaction({"m.relates_to": whole}) == ("$a", "\N{THUMBS UP SIGN}")
    for gone in whole:
        with pytest.raises(BadEvent, match="relates_to"):
            read_reaction({"m.relates_to": {key: value for key, value in whole.items() if key != gone}})


def test_html_only_where_there_is_something_to_format() -> None:
    assert "formatted_body" not in text_content("plain")
    content = text_content("**bold** <script>")
    assert content["body"] == "**bold** <script>"
    assert "<strong>bold</strong>" in content["formatted_body"]
    assert "<script" not in content["formatted_body"]


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("image/png", "m.image"), ("audio/ogg", "m.audio"), ("video/mp4", "m.video"), ("text/html", "m.file")],
)
def test_files_are_shown_by_their_type(media_type: str, kind: str) -> None:
    content = file_content(media_type, "a.bin", 3, "mxc://x/y", "see")
    assert (content["msgtype"], content["body"], content["filename"]) == (kind, "see", "a.bin")


def test_an_edit_has_a_fallback_and_the_new_content() -> None:
    content = replacing(text_content("*new*"), EventId("$a"))
    assert content["m.new_content"]["body"] == "*new*"
    assert content["body"] == "* *new*"
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$a"}


def test_a_reply_has_no_fallback() -> None:
    content = answering(text_content("new"), EventId("$a"))
    assert content["body"] == "new"
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$a"}}
