"""Rates: how often one asker may ask, against a plain model, and who counts as one asker."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import rates
from gateway.errors import LimitExceeded
from gateway.rates import Rate, asker_of


@dataclass
class Time:
    """A monotonic clock that stands still."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def taken(rate: Rate, asker: str = "a") -> bool:
    try:
        rate.take(asker)
    except LimitExceeded:
        return False
    return True


def test_a_question_may_stand_for_many() -> None:
    time = Time()
    rate = Rate(60, clock=time)
    rate.take("a", 59)
    assert taken(rate)
    assert not taken(rate)
    time.now = 60
    rate.take("a", 1_000)
    assert not taken(rate), "it took the whole burst"
    time.now = 120
    rate.take("a", 0)
    rate.take("a", 60)


@dataclass
class Bucket:
    """The model: tokens that drip in at an even pace, in exact numbers."""

    size: int
    per_minute: int
    tokens: Fraction
    filled_at: Fraction = Fraction(0)

    def take(self, now: Fraction) -> bool:
        dripped = (now - self.filled_at) * self.per_minute / 60
        self.tokens = min(Fraction(self.size), self.tokens + dripped)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(
    per_minute=st.sampled_from([1, 4, 15, 60, 240]),
    burst=st.none() | st.integers(1, 10),
    # Sixteenths of seconds, which floats hold exactly, so that the model and the rate see the same moments.
    steps=st.lists(st.tuples(st.integers(0, 200), st.sampled_from("ab")), max_size=80),
)
def test_the_rate_is_a_bucket_for_each_asker(per_minute: int, burst: int | None, steps: list[tuple[int, str]]) -> None:
    time, size = Time(), per_minute if burst is None else burst
    rate = Rate(per_minute, burst=burst, clock=time)
    model = {asker: Bucket(size, per_minute, Fraction(size)) for asker in "ab"}
    for step, asker in steps:
        time.now += step / 16
        assert taken(rate, asker) is model[asker].take(Fraction(time.now))


@pytest.mark.parametrize("begun_at", [0.0, 0.1, 12_345.678, 3e7 + 0.3])
@pytest.mark.parametrize("per_minute", [1, 3, 7, 11, 60, 61, 97, 100, 999, 6_000])
def test_as_many_as_were_promised_may_come_at_once(per_minute: int, begun_at: float) -> None:
    """And not one more; whatever the clock shows: sums of fractions must not take one away."""
    time = Time(begun_at)
    rate = Rate(per_minute, clock=time)
    assert sum(taken(rate) for _ in range(per_minute + 5)) == per_minute


@given(st.integers(1, 10_000), st.floats(0, 1e8))
def test_a_full_bucket_never_gives_more_or_less(per_minute: int, now: float) -> None:
    rate = Rate(per_minute, burst=5, clock=Time(now))
    assert sum(taken(rate) for _ in range(7)) == 5


def test_whoever_waits_may_ask_again() -> None:
    time = Time(1000.0)
    rate = Rate(60, burst=2, clock=time)
    assert [taken(rate) for _ in range(3)] == [True, True, False]
    time.now += 0.99
    assert not taken(rate)
    time.now += 0.01
    assert [taken(rate), taken(rate)] == [True, False]
    time.now += 3600
    assert [taken(rate) for _ in range(3)] == [True, True, False], "an hour of silence saves up one burst only"


def test_asking_in_vain_does_not_lengthen_the_wait() -> None:
    time = Time()
    rate = Rate(60, burst=1, clock=time)
    taken(rate)
    for _ in range(99):
        time.now += 0.01
        assert not taken(rate)
    time.now = 1.0
    assert taken(rate)


def test_the_rate_in_the_long_run() -> None:
    time = Time()
    rate = Rate(120, clock=time)
    count = 0
    for _ in range(6_000):
        count += taken(rate)
        time.now += 0.1
    assert 1_200 + 119 <= count <= 1_200 + 121, "ten minutes of two a second, and one burst"


def test_askers_do_not_share() -> None:
    rate = Rate(60, burst=1, clock=Time())
    assert [taken(rate, asker) for asker in ("a", "b", "a", "c", "b")] == [True, True, False, True, False]


def test_no_limit() -> None:
    rate = Rate(0, clock=Time())
    assert all(taken(rate) for _ in range(10_000))


@pytest.mark.weakness(15)
@pytest.mark.attack(32)
def test_memory_does_not_grow_with_the_number_of_askers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was idle longest is forgotten; who asks too often is not, however many others come."""
    monkeypatch.setattr(rates, "ASKERS", 100)
    rate = Rate(60, burst=1, clock=Time())
    assert taken(rate, "greedy")
    for number in range(10_000):
        assert taken(rate, str(number))
        if number % 50 == 0:
            assert not taken(rate, "greedy")
    assert len(rate._full_at) == 100
    assert taken(rate, "0"), "was forgotten, and begins anew"


def test_a_place_costs_little() -> None:
    """Fifty thousand of them are some ten megabytes."""
    rate = Rate(60, clock=Time())
    tracemalloc.start()
    try:
        for number in range(5_000):
            rate.take(f"2001:db8:{number:x}::/64")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / 5_000 < 400


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "asker"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:CB00:7109", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("gw.example", "unknown"),
        ("203.0.113.9:4711", "unknown"),
        ("010.0.0.1", "unknown"),
        ("1" * 10_000, "unknown"),
        ("\ud800", "unknown"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_who_counts_as_one_asker(client: str, asker: str) -> None:
    """A network of 2^64 addresses is one customer; an address is the same in every spelling."""
    assert asker_of({"type": "http", "client": (client, 4711)}) == asker


@pytest.mark.parametrize("scope", [{}, {"client": None}, {"client": ()}])
def test_a_peer_without_an_address(scope: dict[str, object]) -> None:
    """A unix socket; all of them together are one asker."""
    assert asker_of(scope) == "unknown"


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_network_are_one_asker(address: object, host: int) -> None:
    neighbour = type(address)(int(address) >> 64 << 64 | host)  # type: ignore[call-overload, call-arg]
    one, two = (asker_of({"client": (str(each), 1)}) for each in (address, neighbour))
    assert one == two or "." in one + two, "but for those that are IPv4 addresses in another form"


@given(st.text(max_size=60))
def test_nothing_that_a_proxy_says_raises(client: str) -> None:
    assert asker_of({"client": (client, 0)})
