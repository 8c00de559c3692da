"""Log-in exchanges: PLAIN and LOGIN as programs speak them, and every malformed one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.sasl import read_login, read_plain


class Dialogue:
    """Answers challenges from a list and remembers what was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, text: str) -> bytes:
        self.asked.append(text)
        return self.answers.pop(0)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_plain_in_one_go() -> None:
    dialogue = Dialogue()
    assert await read_plain(encoded("\0bob\0secret"), dialogue) == ("bob", "secret")
    assert dialogue.asked == []


async def test_plain_after_a_challenge() -> None:
    dialogue = Dialogue(encoded("bob\0bob\0secret").encode())
    assert await read_plain("", dialogue) == ("bob", "secret")
    assert dialogue.asked == [""]


@pytest.mark.parametrize(
    "answer",
    [
        "=",
        "!!!",
        encoded("bob"),
        encoded("bob\0secret"),
        encoded("\0bob\0secret\0more"),
        encoded("eve\0bob\0secret"),
        encoded("\0\0secret"),
        base64.b64encode(b"\0\xff\0\xff").decode(),
        encoded("\0bob\0" + "x" * 5000),
        "ä",
    ],
)
async def test_plain_malformed(answer: str) -> None:
    assert await read_plain(answer, Dialogue()) is None


async def test_taken_back() -> None:
    assert await read_plain("", Dialogue(b"*")) is None
    assert await read_login("", Dialogue(b"*")) is None
    assert await read_login("", Dialogue(encoded("bob").encode(), b"*")) is None


async def test_login_with_two_challenges() -> None:
    dialogue = Dialogue(encoded("bob").encode(), encoded("sécret").encode())
    assert await read_login("", dialogue) == ("bob", "sécret")
    assert [base64.b64decode(each) for each in dialogue.asked] == [b"Username:", b"Password:"]


async def test_login_with_the_name_at_once() -> None:
    dialogue = Dialogue(encoded("secret").encode())
    assert await read_login(encoded("bob"), dialogue) == ("bob", "secret")
    assert len(dialogue.asked) == 1


@pytest.mark.parametrize("name", ["=", "!!!", "YQ", ""])
async def test_login_malformed(name: str) -> None:
    assert await read_login(name, Dialogue(b"!!!", b"!!!")) is None


@given(st.binary(max_size=100))
async def test_any_answer_is_credentials_or_none(answer: bytes) -> None:
    for result in (await read_plain("", Dialogue(answer)), await read_login("", Dialogue(answer, answer))):
        assert result is None or (len(result) == 2 and result[0])
