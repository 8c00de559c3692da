"""Logs hide secrets, in our own events and in those of libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway.observability import HIDDEN, LogFormat, hide_secrets, set_up_logging


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
