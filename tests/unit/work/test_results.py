"""Back-off: grows by the table, stays at its end, and does not let a crowd come back at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.work.results import BACK_OFF_SECONDS, JITTER, MAX_REASON, back_off_ms, clean_reason


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 1), (1, 5), (2, 30), (3, 120), (4, 600), (5, 3600), (6, 3600), (700, 3600)]
)
def test_the_pause_follows_the_table_with_jitter(attempts: int, seconds: int) -> None:
    pauses = {back_off_ms(attempts) for _ in range(200)}
    assert min(pauses) >= seconds * 1000 * (1 - JITTER) - 1
    assert max(pauses) <= seconds * 1000 * (1 + JITTER) + 1
    assert len(pauses) > 20


def test_the_table_is_the_promised_one() -> None:
    assert BACK_OFF_SECONDS == (1, 5, 30, 120, 600, 3600)


@given(st.text(st.characters(exclude_categories=())))
def test_a_clean_reason_is_one_storable_line(text: str) -> None:
    clean = clean_reason(text)
    clean.encode()
    assert len(clean) <= MAX_REASON
    assert len(clean.splitlines()) <= 1
    assert "\0" not in clean
    assert clean_reason(clean) == clean


def test_a_plain_reason_stays_as_it_is() -> None:
    assert clean_reason("550 5.1.1 Größe überschritten 📎") == "550 5.1.1 Größe überschritten 📎"
