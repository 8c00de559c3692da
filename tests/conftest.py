"""For all tests: fixtures of the databases, and Hypothesis without deadlines: a busy machine is no fault of ours."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ("tests.support.postgres", "tests.support.store", "tests.support.redis", "tests.support.long")

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
