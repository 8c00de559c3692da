"""Hypothesis without deadlines: a busy machine is no fault of the code, and no test here is about time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
