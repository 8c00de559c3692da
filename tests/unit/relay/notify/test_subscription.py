"""Push subscriptions: what browsers give is read, everything else refused without a fault."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidInput
from gateway.relay.notify.subscription import (
    AUTH_BYTES,
    KEY_BYTES,
    MAX_ENDPOINT,
    Subscription,
    from_base64url,
    parse_subscription,
    to_base64url,
)

POINT = b"\x04" + bytes(range(64))
AUTH = bytes(range(16))
ENDPOINT = "https://push.example/send/abc"


def text_of(**changes: Any) -> str:
    keys = {"p256dh": to_base64url(POINT), "auth": to_base64url(AUTH)}
    return json.dumps({"endpoint": ENDPOINT, "expirationTime": None, "keys": keys} | changes)


def keys_of(**changes: Any) -> str:
    return text_of(keys={"p256dh": to_base64url(POINT), "auth": to_base64url(AUTH)} | changes)


def test_what_a_browser_gives() -> None:
    subscription = parse_subscription(text_of())
    assert subscription == Subscription(ENDPOINT, POINT, AUTH)
    assert json.loads(subscription.to_text()) == {
        "endpoint": ENDPOINT,
        "keys": {"p256dh": to_base64url(POINT), "auth": to_base64url(AUTH)},
    }
    assert parse_subscription(subscription.to_text()) == subscription


def test_padding_may_be_there() -> None:
    padded = keys_of(p256dh=base64.urlsafe_b64encode(POINT).decode(), auth=base64.urlsafe_b64encode(AUTH).decode())
    assert parse_subscription(padded) == parse_subscription(text_of())


def test_keys_and_endpoint_are_not_shown() -> None:
    shown = repr(parse_subscription(text_of()))
    assert ENDPOINT not in shown
    assert repr(AUTH) not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"x"',
        "{}",
        "{",
        ENDPOINT,
        '{"endpoint":"a","endpoint":"b"}',
        text_of(endpoint=None),
        text_of(endpoint=""),
        text_of(endpoint=["https://push.example"]),
        text_of(endpoint="https://push.example/" + "x" * MAX_ENDPOINT),
        text_of(keys=None),
        text_of(keys=[]),
        text_of(keys="x"),
        keys_of(p256dh=None),
        keys_of(auth=None),
        keys_of(auth=5),
        keys_of(p256dh=to_base64url(POINT[:-1])),
        keys_of(p256dh=to_base64url(POINT + b"x")),
        keys_of(p256dh=to_base64url(b"\x02" + POINT[1:])),
        keys_of(auth=to_base64url(AUTH[:-1])),
        keys_of(auth=to_base64url(AUTH + b"x")),
        keys_of(auth="AAECAwQFBgcICQoLDA0ODx"),
        keys_of(auth="AAECAwQFBgcICQoLDA0OD!"),
        keys_of(auth="AAECAwQFBgcICQoLDA0O\nDw"),
        keys_of(auth="é" * 22),
        text_of(more={"a": {"b": {"c": 1}}}),
        text_of(more=[1] * 20),
        text_of(more="x" * 5000),
        text_of()[:-1] + "\ud800}",
    ],
)
def test_what_is_no_subscription(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_subscription(text)


@given(st.binary(max_size=80))
def test_base64url(data: bytes) -> None:
    assert from_base64url(to_base64url(data), len(data), "x") == data
    with pytest.raises(InvalidInput):
        from_base64url(to_base64url(data), len(data) + 1, "x")


@given(st.text(max_size=200))
def test_no_text_is_a_fault(text: str) -> None:
    for length in (KEY_BYTES, AUTH_BYTES):
        try:
            assert len(from_base64url(text, length, "x")) == length
        except InvalidInput as error:
            assert text not in error.detail or len(text) < 10


@pytest.mark.attack(30)
@pytest.mark.parametrize("pattern", ["{", "[", '"', "\\", '{"a":', "=", "A", "0", "-", " "], ids=repr)
def test_the_worst_texts_are_read_at_once(pattern: str) -> None:
    text = pattern * 100_000
    start = time.thread_time()
    for worst in (text, keys_of(auth=text), keys_of(p256dh=text)):
        with pytest.raises(InvalidInput):
            parse_subscription(worst)
    with pytest.raises(InvalidInput):
        from_base64url(text, KEY_BYTES, "x")
    assert time.thread_time() - start < 0.05
