"""Growth is told operation by operation: the cost at each size, and the last by the first in the same round."""

from __future__ import annotations

from tests.bench.rows.growth import TIMES, Costs


def test_the_last_size_stands_by_the_first() -> None:
    costs = Costs("growth, names")
    for size, spent in ((10, (1e-6, 2e-6)), (1_000, (3e-6, 3e-6))):
        for each in spent:
            costs.note("look-up", size, each)
    small, large, grows = costs.figures()
    assert (small.quantity, large.quantity, grows.quantity) == ("look-up, 10", "look-up, 1 000", "look-up, grows")
    assert small.rounds == (1.0, 2.0)
    assert grows.rounds == (3.0, 1.5)
    assert grows.target == TIMES
    assert grows.met is False


def test_operations_are_told_one_after_the_other() -> None:
    costs = Costs("growth, mailbox")
    for size in (1, 2):
        for operation in ("submit", "page"):
            costs.note(operation, size, 1.0)
    assert [each.quantity for each in costs.figures()] == [
        "submit, 1",
        "submit, 2",
        "submit, grows",
        "page, 1",
        "page, 2",
        "page, grows",
    ]
