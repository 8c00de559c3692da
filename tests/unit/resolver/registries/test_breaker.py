"""The circuit breaker, by a clock that is moved."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import FetchFailed, InvalidInput, RegistryDown
from gateway.resolver.registries.breaker import Breaker, BreakerLimits


class Switch:
    """A breaker that opens after three failures for ten seconds, and what was tried through it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.tried = 0
        self.breaker = Breaker(BreakerLimits(3, 10), clock=lambda: self.now)

    def attempt(self, error: Exception | None = None) -> None:
        with self.breaker.attempt(FetchFailed):
            self.tried += 1
            if error is not None:
                raise error

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(FetchFailed):
                self.attempt(FetchFailed())


def test_it_opens_after_so_many_failures_in_a_row_and_then_nothing_is_tried() -> None:
    switch = Switch()
    switch.fail(2)
    assert switch.breaker.admits()
    switch.fail()
    assert not switch.breaker.admits()
    with pytest.raises(RegistryDown):
        switch.attempt()
    assert switch.tried == 3


def test_a_success_between_starts_the_count_anew() -> None:
    switch = Switch()
    switch.fail(2)
    switch.attempt()
    switch.fail(2)
    assert switch.breaker.admits()


def test_other_errors_come_from_something_that_works() -> None:
    switch = Switch()
    switch.fail(2)
    with pytest.raises(InvalidInput):
        switch.attempt(InvalidInput())
    switch.fail(2)
    assert switch.breaker.admits()


def test_after_the_rest_one_attempt_closes_it() -> None:
    switch = Switch()
    switch.fail(3)
    switch.now += 9.9
    assert not switch.breaker.admits()
    switch.now += 0.1
    switch.attempt()
    switch.fail(2)
    assert switch.breaker.admits()


def test_after_the_rest_one_failure_opens_it_again() -> None:
    switch = Switch()
    switch.fail(3)
    switch.now += 10
    switch.fail()
    assert not switch.breaker.admits()
    switch.now += 10
    assert switch.breaker.admits()


def test_only_one_is_let_through_to_find_out() -> None:
    switch = Switch()
    switch.fail(3)
    switch.now += 10
    with switch.breaker.attempt(FetchFailed):
        assert not switch.breaker.admits()
        with pytest.raises(RegistryDown):
            switch.attempt()
    switch.attempt()


def test_what_began_before_it_opened_does_not_make_the_rest_longer() -> None:
    switch = Switch()

    def slow() -> None:
        with switch.breaker.attempt(FetchFailed):
            switch.fail(3)
            switch.now += 9
            raise FetchFailed

    with pytest.raises(FetchFailed):
        slow()
    switch.now += 1
    assert switch.breaker.admits()


async def test_a_probe_that_is_cancelled_leaves_the_next_one_its_turn() -> None:
    switch = Switch()
    switch.fail(3)
    switch.now += 10

    async def probe() -> None:
        with switch.breaker.attempt(FetchFailed):
            await asyncio.Event().wait()

    task = asyncio.create_task(probe())
    await asyncio.sleep(0)
    assert not switch.breaker.admits()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert switch.breaker.admits()
    switch.fail()
    assert not switch.breaker.admits()
