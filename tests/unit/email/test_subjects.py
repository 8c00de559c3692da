"""Subjects: RFC 5256's base subject in more languages, and answers that do not grow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.subjects import answer_subject, base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("A question", "a question"),
        ("Re: A question", "a question"),
        ("RE: re:Re :  A   question", "a question"),
        ("Re[2]: A question", "a question"),
        ("AW: WG: SV: Antw: RV: TR: A question", "a question"),
        ("Fwd: Re: A question", "a question"),
        ("Fw: A question (fwd)", "a question"),
        ("[list] Re: [list] A question", "a question"),
        ("Re: [list] A question", "a question"),
        ("[fwd: Re: A question]", "a question"),
        ("[urgent]", "[urgent]"),
        ("Re:", ""),
        ("", ""),
        ("Regarding: money", "regarding: money"),
        ("Report: 5", "report: 5"),
    ],
)
def test_base_subjects(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("A question", "Re: A question"),
        ("Re: A question", "Re: A question"),
        ("AW: Re: RE: A question", "Re: A question"),
        ("Re[2]: A question", "Re: A question"),
        ("Fwd: A question", "Re: Fwd: A question"),
        ("[list] A question", "Re: [list] A question"),
        ("Re: [list] A question", "Re: [list] A question"),
        ("", "Re:"),
    ],
)
def test_answers(subject: str, answer: str) -> None:
    assert answer_subject(subject) == answer


@given(st.text(alphabet="ReAWFwd:[] ()x2", max_size=60))
def test_answers_do_not_grow(subject: str) -> None:
    once = answer_subject(subject)
    assert answer_subject(once) == once
    assert base_subject(once) == base_subject(base_subject(once)) or len(base_subject(once)) > 0


@pytest.mark.parametrize("piece", ["re:", "[a]", "[", "re [a]:", "(fwd)", "[fwd:", " ", "re" + " " * 9])
def test_time_has_a_bound(piece: str) -> None:
    begin = time.process_time()
    for subject in (piece * 20_000, piece * 100):
        base_subject(subject)
        answer_subject(subject)
    assert time.process_time() - begin < 1
