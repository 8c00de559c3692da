"""JSON-RPC 2.0: what is a call, what is not, and the shape of both kinds of answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidRequest, LimitExceeded, ParseError, TooLarge, UnknownRecipient
from gateway.relay.jsonrpc import Call, call_id, error_body, parse_call, result_body

LIMIT = 10_000


def parse(value: Any) -> Call:
    return parse_call(json.dumps(value).encode(), max_bytes=LIMIT)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "m", "params": ["a"]}, Call(1, "m", ("a",))),
        ({"id": "x", "method": "m"}, Call("x", "m", ())),
        ({"method": "m", "params": []}, Call(None, "m", ())),
        ({"method": "m", "id": None, "params": [{"a": 1}, None]}, Call(None, "m", ({"a": 1}, None))),
        ({"method": "m", "id": 1.5}, Call(1.5, "m", ())),
    ],
)
def test_calls_of_every_client_are_read(body: dict[str, Any], expected: Call) -> None:
    assert parse(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"method": "m"}],
        "m",
        1,
        None,
        {},
        {"method": ""},
        {"method": 1},
        {"method": "m", "jsonrpc": "1.0"},
        {"method": "m", "params": {}},
        {"method": "m", "params": "x"},
        {"method": "m", "params": None},
        {"method": "m", "params": [1, 2, 3, 4, 5]},
    ],
)
def test_what_is_no_call_is_refused(body: Any) -> None:
    with pytest.raises(InvalidRequest):
        parse(body)


CORPUS = [
    b"",
    b"{",
    b"nul",
    b"\xff\xfe",
    b'{"method": NaN}',
    b'{"method": 1e999}',
    b'{"method": "m", "method": "n"}',
    b'{"method": "\\ud800"}',
    b"[" * 5000,
    b'{"method": "m", "params": [' + b"[" * 40 + b"]" * 40 + b"]}",
    b'{"method": "m"} trailing',
    b'{"method": "m", "params": [-]}',
    b'{"a": Infinity}',
    b'{"method": "\x01"}',
    b"{'method': 'm'}",
]


@pytest.mark.attack(29)
@pytest.mark.parametrize("body", CORPUS, ids=lambda body: repr(body[:24]))
def test_the_corpus_of_bad_json_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_call(body, max_bytes=LIMIT)
    assert isinstance(caught.value, ParseError | InvalidRequest)
    assert caught.value.status == 400


def test_size_is_checked_before_anything_else() -> None:
    with pytest.raises(TooLarge):
        parse_call(b"[" * (LIMIT + 1), max_bytes=LIMIT)


@pytest.mark.attack(29)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_body_raises_anything_unnamed(body: bytes) -> None:
    try:
        assert isinstance(parse_call(body, max_bytes=LIMIT), Call)
    except GatewayError as error:
        assert 400 <= error.status < 500


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, "x" * 257, None])
def test_an_id_that_json_rpc_does_not_allow_is_answered_with_null(value: Any) -> None:
    assert call_id({"id": value}) is None


@pytest.mark.weakness(9)
def test_a_result_echoes_the_id() -> None:
    assert json.loads(result_body("seven", "OK")) == {"jsonrpc": "2.0", "id": "seven", "result": "OK"}


@pytest.mark.weakness(9)
def test_an_error_carries_code_sentence_and_detail() -> None:
    body = json.loads(error_body(3, UnknownRecipient("bob.eth is not here")))
    assert body["id"] == 3
    assert body["error"] == {
        "code": -32001,
        "message": "The recipient does not use this delivery service.",
        "data": {"detail": "bob.eth is not here"},
    }


def test_an_error_that_may_pass_says_so() -> None:
    assert json.loads(error_body(None, LimitExceeded()))["error"]["data"]["retry"] is True
