"""Logs hide secrets, in our own events and in those of libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway.observability import HIDDEN, SOMEBODY, LogFormat, hide_people, hide_secrets, set_up_logging, without_people


@pytest.mark.parametrize(
    "key", ["token", "as_token", "password", "seed", "sealed_salt", "private_key", "Authorization", "signature"]
)
def test_values_under_telling_keys_are_hidden(key: str) -> None:
    assert hide_secrets(None, "info", {"event": "x", key: "value"})[key] == HIDDEN


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET with Bearer abc.def", "abc.def"),
        ("postgresql://gateway:hunter2@db/mail", "hunter2"),
    ],
)
def test_secrets_inside_texts_are_hidden(text: str, secret: str) -> None:
    hidden = hide_secrets(None, "info", {"event": text, "url": text})
    assert secret not in str(hidden)


def test_other_values_stay() -> None:
    event = {"event": "lane.leased", "lane": "email:1", "count": 3}
    assert hide_secrets(None, "info", dict(event)) == event


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_a_json_line_holds_event_fields_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO", "json")
    structlog.get_logger("gateway.test").info("thing.done", token="canary-1", name="a\nb")
    logging.getLogger("library").warning("uses Bearer canary-2")
    lines = capsys.readouterr().err.splitlines()
    first, second = map(json.loads, lines)
    assert first["event"] == "thing.done"
    assert first["name"] == "a\nb"
    assert first["level"] == "info"
    assert second["event"] == f"uses {HIDDEN}"
    assert "canary" not in "".join(lines)


@pytest.mark.usefixtures("restored_logging")
def test_a_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("WARNING", "console")
    structlog.get_logger("gateway.test").info("quiet")
    structlog.get_logger("gateway.test").warning("loud")
    printed = capsys.readouterr().err
    assert "loud" in printed
    assert "quiet" not in printed


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_variables(capsys: pytest.CaptureFixture[str], form: LogFormat) -> None:
    set_up_logging("INFO", form)

    def fails(text: str) -> None:
        token = text + "-token"
        raise RuntimeError(f"failed after {len(token)} characters")

    canary = "-".join(("canary", "text"))
    try:
        fails(canary)
    except RuntimeError:
        structlog.get_logger("gateway.test").exception("thing.failed")
        logging.getLogger("library").exception("a library's thing failed")
    printed = capsys.readouterr().err
    assert "RuntimeError" in printed
    assert canary not in printed


# --- people ---------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(16)
@pytest.mark.parametrize(
    "name",
    [
        "alice.eth",
        "Alice.ETH",
        "sub.alice.eth",
        "faß.eth",
        "🦊.eth",
        "alice.🦊",
        "ξένος.eth",
        "bob.example.org.email.gw.eth",
        "bob@example.org",
        "@bob:example.org",
        "bob@example.org/phone",
        "https://alice.example/profile?dm3Hash=0x00",
        "0x" + "aB" * 20,
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "no {} here", "({})", "{}: wrong", "the profile of {}.", "a,{},b", "'{}'", '"{}"']
)
def test_whoever_is_named_in_a_reason_is_hidden(name: str, around: str) -> None:
    written = str(hide_people(None, "info", {"event": "x", "detail": around.format(name), "sender": name}))
    assert name not in written
    for part in filter(lambda part: len(part) > 3, name.replace("@", ".").split(".")):
        assert part not in written


@pytest.mark.parametrize(
    "text",
    [
        "no answer within 5 s",
        "4 units wait for the database.",
        "version 2.0 of 127.0.0.1:8545, [::1]",
        "the recipient's rules need a sender whose signature can be verified",
        "sqlite3.OperationalError: database is locked",
        "ab" * 32,
        "0x" + "ab" * 32,
        "email:0123456789abcdef",
    ],
)
def test_reasons_without_people_stay(text: str) -> None:
    assert without_people(text) == text


def test_what_somebody_sent_is_not_quoted() -> None:
    assert without_people("not a mail local part: 'bob smith', not 'ftp'") == (
        f"not a mail local part: {SOMEBODY}, not {SOMEBODY}"
    )


def test_our_own_words_stay() -> None:
    event = {
        "event": "chain.endpoint_failed",
        "_from_structlog": True,
        "logger": "gateway.ens.chain",
        "level": "info",
        "host": "eth.example.org",
        "native_id": "<1@mail.example>",
        "attempts": 3,
        "repeat": True,
        "delay": None,
    }
    assert hide_people(None, "info", dict(event)) == event


@pytest.mark.weakness(16)
@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("form", ["console", "json"])
def test_nobody_is_named_in_a_line_or_a_traceback(capsys: pytest.CaptureFixture[str], form: LogFormat) -> None:
    set_up_logging("DEBUG", form)
    log = structlog.get_logger("gateway.test")
    log.info("thing.refused", detail="the profile of canary.eth has no address", size=7)
    # Not written out: a traceback shows the lines of the program.
    who = "canary" + ".eth"
    error = RuntimeError(f"nothing for {who}\nand in a second line: {who}@example.org")
    try:
        try:
            raise error
        except RuntimeError as cause:
            raise ExceptionGroup(f"several about {who}", [cause, KeyError(who)]) from cause
    except ExceptionGroup:
        log.exception("thing.failed")
        logging.getLogger("library").exception("a task of %s failed", who)
    printed = capsys.readouterr().err
    assert "canary" not in printed
    assert "RuntimeError: nothing for" in printed
    assert "test_observability.py" in printed, "where it was raised"
    assert ("thing.refused" in printed, "7" in printed) == (True, True)


@pytest.mark.weakness(16)
@pytest.mark.usefixtures("restored_logging")
def test_of_libraries_warnings_are_written_and_no_less(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("DEBUG", "json")
    for name in ("websockets.server", "urllib3.connectionpool", "a.library.of.somebody"):
        for level in (logging.DEBUG, logging.INFO):
            logging.getLogger(name).log(level, "quiet canary")
    logging.getLogger("a.library.of.somebody").warning("loud")
    structlog.get_logger("gateway.test").debug("our.own")
    printed = capsys.readouterr().err
    assert "quiet" not in printed
    assert "loud" in printed
    assert "our.own" in printed
