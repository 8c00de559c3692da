"""Back-off: grows by the table, stays at its end, and does not let a crowd come back at once."""

from __future__ import annotations

import pytest

from gateway.bridge.results import BACK_OFF_SECONDS, JITTER, back_off_ms


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
