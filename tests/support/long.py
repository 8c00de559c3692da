"""``--long``: the figures of a release instead of those of every day, and tests that are marked ``long``."""

from __future__ import annotations

import pytest

HOURS = 4 * 3600
"""Seconds after which a long test is given up."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--long", action="store_true", help="the figures of a release: takes hours")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``long``, or give everything in tests/fault the time that it needs."""
    if config.getoption("--long"):
        for item in items:
            if "fault" in item.path.parts:
                item.add_marker(pytest.mark.timeout(HOURS), append=False)
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How often a test of faults does what it does: once, or with ``--long`` as often as a release wants it."""
    return 20 if pytestconfig.getoption("--long") else 1
