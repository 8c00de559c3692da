"""A chain with a clock that the test sets, and the ENS world on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from gateway.demo.chain.accounts import Account, accounts
from gateway.demo.chain.ens import EnsWorld
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.genesis import ens_genesis

START = 1_800_000_000


@dataclass
class Clock:
    """Seconds since the epoch, set by hand."""

    seconds: float = START

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def people() -> Mapping[str, Account]:
    return accounts()


@pytest.fixture
def chain(people: Mapping[str, Account], clock: Clock) -> DevChain:
    return DevChain(ens_genesis(people, START), clock=clock)


@pytest.fixture
def ens(chain: DevChain, people: Mapping[str, Account]) -> EnsWorld:
    return EnsWorld(chain, people)
