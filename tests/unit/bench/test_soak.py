"""What is made of the samples of a long run."""

from __future__ import annotations

import pytest

from tests.bench.rows.soak import Sample, settled, slope


def samples(*resident: int) -> list[Sample]:
    """One a minute."""
    return [Sample(float(minute), each, 20, 0.01) for minute, each in enumerate(resident)]


def test_growth_is_told_in_bytes_a_minute() -> None:
    assert slope(samples(100, 110, 120, 130)) == pytest.approx(10)
    assert slope(samples(100, 130, 100, 130, 100)) == pytest.approx(0)


def test_the_beginning_does_not_count() -> None:
    whole = samples(10, 50, 100, 100, 100, 100, 100, 100, 100, 100, 100)
    assert settled(whole) == whole[2:]
    assert slope(settled(whole)) == 0


def test_two_samples_always_count() -> None:
    late = [Sample(0.1, 10, 20, 0.01), Sample(0.15, 20, 20, 0.01), Sample(9.0, 30, 20, 0.01)]
    assert settled(late) == late[-2:]
