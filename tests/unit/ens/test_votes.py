"""Agreement: how many say the same, who says otherwise, and what is no vote."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.questions import Answer, EndpointFailed, Reverted
from gateway.ens.votes import Votes

FAILED = EndpointFailed("no answer")
answers: st.SearchStrategy[Answer] = st.sampled_from([0, 1, b"", b"\1", Reverted(b""), Reverted(b"\1")])
voices = st.lists(st.tuples(answers | st.just(FAILED), answers | st.just(FAILED)), max_size=6)


def test_one_voice_is_enough_for_a_quorum_of_one() -> None:
    votes = Votes(2, 1)
    assert votes.decision() is None
    assert votes.add("a", [1, b"x"]) == []
    assert votes.decision() == (1, b"x")
    votes.add("b", [2, b"y"])
    assert votes.decision() == (1, b"x"), "what is decided stays so"
    assert votes.dissenters == ("b",)


@pytest.mark.attack(39)
def test_two_of_three_outvote_a_liar() -> None:
    votes = Votes(2, 2)
    votes.add("liar", [10**18, b"x"])
    votes.add("a", [5, b"x"])
    assert votes.decision() is None, "one question is still open"
    assert votes.voters == ("a", "liar")
    votes.add("b", [5, b"x"])
    assert votes.decision() == (5, b"x")
    assert votes.dissenters == ("liar",)
    assert not votes.contested


@pytest.mark.attack(39)
def test_three_who_all_differ_decide_nothing() -> None:
    votes = Votes(1, 2)
    for host, answer in (("c", 1), ("a", 2), ("b", 3)):
        votes.add(host, [answer])
    assert votes.decision() is None
    assert votes.contested
    assert votes.voters == ("a", "b", "c")


def test_too_few_answers_are_an_outage_and_no_dispute() -> None:
    votes = Votes(1, 2)
    votes.add("a", [1])
    assert votes.add("b", [FAILED]) == ["b: no answer"]
    assert votes.decision() is None
    assert not votes.contested


def test_failures_are_told_once_for_each_endpoint() -> None:
    other = EndpointFailed("HTTP 500")
    assert Votes(4, 1).add("a", [FAILED, 1, FAILED, other]) == ["a: no answer", "a: HTTP 500"]


def test_answers_that_another_endpoint_completes() -> None:
    votes = Votes(2, 1)
    votes.add("a", [FAILED, 7])
    votes.add("b", [6, 8])
    assert votes.decision() == (6, 7)


@pytest.mark.parametrize(
    ("one", "other"),
    [(0, b""), (b"", Reverted(b"")), (Reverted(b""), Reverted(b"\1")), (b"\0", b"\0\0"), (1, 2)],
)
def test_what_is_not_alike(one: Answer, other: Answer) -> None:
    votes = Votes(1, 2)
    votes.add("a", [one])
    votes.add("b", [other])
    assert votes.decision() is None
    votes.add("c", [other])
    assert votes.decision() == (other,)


def test_no_questions_are_decided_at_once() -> None:
    assert Votes(0, 3).decision() == ()


def test_every_endpoint_answers_all_questions() -> None:
    with pytest.raises(ValueError, match="zip"):
        Votes(2, 1).add("a", [1])


@given(voices, st.integers(1, 4))
def test_an_answer_is_decided_exactly_when_enough_gave_it(given_voices: list[tuple[Answer, Answer]], k: int) -> None:
    votes = Votes(2, k)
    for number, voice in enumerate(given_voices):
        votes.add(str(number), voice)
    decided = votes.decision()
    for place in range(2):
        counts = Counter(voice[place] for voice in given_voices if not isinstance(voice[place], EndpointFailed))
        enough = {answer for answer, count in counts.items() if count >= k}
        if decided is not None:
            assert decided[place] in enough
        elif not enough:
            assert votes.decision() is None
    if decided is None:
        assert votes.contested == any(
            sum(not isinstance(voice[place], EndpointFailed) for voice in given_voices) >= k
            and max(Counter(v[place] for v in given_voices if not isinstance(v[place], EndpointFailed)).values()) < k
            for place in range(2)
        )
