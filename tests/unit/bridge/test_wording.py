"""What the gateway says by itself is honest and names everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.bridge import wording
from gateway.errors import (
    FetchFailed,
    GatewayError,
    NotTried,
    RemoteBusy,
    RemoteRefused,
    SchemeRefused,
    ServiceAnswer,
    UnknownName,
)
from gateway.ids import CanonicalId, EnsName, Network
from gateway.traces import TraceId
from gateway.work.results import MAX_REASON

BOB = CanonicalId("bob@example.org")


def test_the_first_message_tells_who_reads_along() -> None:
    notice = wording.first_message_notice(Network("email"), BOB, EnsName("gw.eth"))
    assert "bob@example.org" in notice
    assert "e-mail" in notice
    assert "gw.eth" in notice
    assert "not end-to-end" in notice


def test_a_network_without_a_name_of_its_own_is_called_by_its_label() -> None:
    assert "fido" in wording.first_message_notice(Network("fido"), BOB, EnsName("gw.eth"))


def test_a_failure_names_person_and_reason() -> None:
    assert wording.failure_notice(BOB, "mailbox full", TraceId("0123456789ab")) == (
        "[gateway] Your message did not reach bob@example.org: mailbox full [trace 0123456789ab]"
    )


def test_a_trace_fits_into_what_networks_show_of_a_reason() -> None:
    told = wording.with_trace("x" * 5000, TraceId("0123456789ab"))
    assert told.endswith(" [trace 0123456789ab]")
    assert len(told) < 500


CAROL = EnsName("carol.eth")


@pytest.mark.weakness(9)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ServiceAnswer(403, -32010, "you look like spam"), ["rules", 'said: "you look like spam"']),
        (ServiceAnswer(413, -32011), ["larger", "no reason (HTTP 413)"]),
        (ServiceAnswer(413), ["larger"]),
        (ServiceAnswer(404, -32001), ["does not know the recipient"]),
        (ServiceAnswer(200, -32001), ["does not know the recipient"]),
        (ServiceAnswer(401, -32003), ["make sure that the message is from you"]),
        (ServiceAnswer(400), ["refused the message", "HTTP 400"]),
        (ServiceAnswer(400, None, "invalid schema"), ["refused the message", '"invalid schema"']),
        (ServiceAnswer(400, -32099, "odd"), ["refused the message", '"odd"']),
    ],
    ids=str,
)
def test_a_refusal_says_why(answer: ServiceAnswer, words: list[str]) -> None:
    reason = wording.told(RemoteRefused("https://ds.example: detail for operators", answer))
    assert all(word in reason for word in words), reason
    assert "operators" not in reason


def test_a_full_mailbox_is_told_when_the_time_is_over() -> None:
    reason = wording.told(RemoteBusy("detail", ServiceAnswer(429, -32005, "mailbox full")))
    assert "mailbox is full" in reason
    assert '"mailbox full"' in reason


@pytest.mark.parametrize(
    "answer", [ServiceAnswer(503, -32010), ServiceAnswer(500, -32603), ServiceAnswer(503)], ids=str
)
def test_a_passing_fault_blames_nobody(answer: ServiceAnswer) -> None:
    assert wording.told(RemoteBusy("detail", answer)).startswith(RemoteBusy.sentence)


def test_a_refusal_of_our_encryption_says_so() -> None:
    reason = wording.told(SchemeRefused("detail", ServiceAnswer(400, -32000, "unknown scheme")))
    assert "encryption that this gateway does not have" in reason
    assert '"unknown scheme"' in reason


@pytest.mark.parametrize(
    "error", [UnknownName("inside"), FetchFailed("inside"), RemoteRefused("inside"), RemoteBusy("inside")], ids=repr
)
def test_everything_else_has_the_sentence_of_its_error(error: GatewayError) -> None:
    assert wording.told(error) == error.sentence


@pytest.mark.parametrize("error", [RemoteRefused, RemoteBusy, SchemeRefused])
@given(text=st.text(max_size=2000), code=st.none() | st.integers(), status=st.integers(200, 599))
def test_whatever_a_stranger_says_is_one_bounded_line(
    error: type[errors.RemoteRefused | errors.RemoteBusy], text: str, code: int | None, status: int
) -> None:
    reason = wording.told(error("x", ServiceAnswer(status, code, text)))
    assert len(reason) <= MAX_REASON
    assert reason.isprintable()
    assert reason.count('"') in (0, 2)


def test_a_stranger_cannot_turn_the_direction_of_writing() -> None:
    reason = wording.told(RemoteRefused("x", ServiceAnswer(400, -32000, 'a\u202eb\u200bc"d\x00\ne')))
    assert reason.endswith('"a b c\'d e"')


def test_unmet_rules_name_everybody_and_each_rule() -> None:
    unmet = ("needs a balance of at least 0.1 ETH, and has none", "needs at least 1 sent transaction, and has none")
    reason = wording.told(NotTried(wording.rules_unmet(CAROL, EnsName("bob.gw.eth"), unmet)))
    assert reason == (
        "carol.eth does not take messages from everybody: bob.gw.eth needs a balance of at least 0.1 ETH, "
        "and has none; needs at least 1 sent transaction, and has none."
    )


@pytest.mark.parametrize(
    ("limit", "size", "words"),
    [
        (0, 5, ["does not take attachments"]),
        (3, 5, ["up to 3 bytes", "have 5 bytes"]),
        (50_999, 51_000, ["up to 50 kB", "have 51 kB"]),
        (50_000, 50_001, ["up to 50 kB", "have 51 kB"]),
        (10_000_000, 12_600_000, ["up to 10 MB", "have 13 MB"]),
    ],
)
def test_limits_are_told_with_their_numbers(limit: int, size: int, words: list[str]) -> None:
    reason = wording.attachments_too_large(CAROL, limit, size)
    assert "carol.eth" in reason
    assert all(word in reason for word in words), reason
    if limit:
        assert words[0].removeprefix("up to ") in wording.envelope_too_large(limit)


def test_a_message_that_waits_says_for_whom() -> None:
    assert "carol.eth decides" in wording.waits_for_acceptance(CAROL)


def test_words_that_are_sent_after_somebody_are_quoted() -> None:
    sent = wording.sent_after(CAROL, "hello\n\n[gateway] Send your seed to eve.eth")
    assert sent == (
        "[gateway] carol.eth wrote to you at your former delivery service:\n\n"
        "> hello\n>\n> [gateway] Send your seed to eve.eth"
    )
