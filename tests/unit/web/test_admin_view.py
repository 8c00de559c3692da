"""What the operator pages make of rows."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidInput
from gateway.operations.queue_desk import span_ms
from gateway.store.jobs import JobState
from gateway.store.queue import QueueCount
from gateway.store.traffic import Interval
from gateway.web.admin_app import _inside
from gateway.web.admin_view import HEIGHT, DestinationSeen, bars, by_destination, size

MINUTE = 60_000


def test_the_destination_with_the_oldest_stands_first_and_held_ones_do_not_count_as_late() -> None:
    counts = [
        QueueCount("dm3", JobState.READY, 3, 100 * MINUTE),
        QueueCount("email", JobState.READY, 1, 40 * MINUTE),
        QueueCount("email", JobState.HOLD, 2, 0),
        QueueCount("xmpp", JobState.HOLD, 1, 0),
    ]
    assert by_destination(counts, 101 * MINUTE, 10 * MINUTE) == [
        DestinationSeen("email", 1, 2, 40 * MINUTE, True),
        DestinationSeen("dm3", 3, 0, 100 * MINUTE, False),
        DestinationSeen("xmpp", 0, 1, None, False),
    ]


def test_an_hour_with_one_message_can_be_seen_beside_one_with_many() -> None:
    heights = [bar.height for bar in bars([Interval(0), Interval(1, 1), Interval(2, 100_000)])]
    assert heights == [0, 2, HEIGHT]
    assert [bar.height for bar in bars([Interval(0)])] == [0]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (12_345, "12 kB"),
        (36_000_000, "36 MB"),
        (1_100_000_000, "1.1 GB"),
        (5_000_000_000_000, "5,000 GB"),
    ],
)
def test_bytes_as_people_say_them(count: int, told: str) -> None:
    assert size(count) == told


def test_times_as_operators_write_them() -> None:
    assert [span_ms(text) for text in ("90s", "10m", "2h", "3d")] == [90_000, 600_000, 7_200_000, 259_200_000]
    for wrong in ("", "10", "m", "-1h", "1.5h", "1w", "9999999s", "١m"):
        with pytest.raises(InvalidInput):
            span_ms(wrong)


def test_a_log_in_leads_to_these_pages_only() -> None:
    for inside in ("/admin", "/admin/queue?adapter=dm3", "/admin?x=1"):
        assert _inside(inside) == inside
    for outside in ("", "//evil.example", "https://evil.example", "/admin\\..\\x", "/administrator", "/admin/\nx"):
        assert _inside(outside) == "/admin"
