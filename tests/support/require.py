"""The rule for peers that are not on this machine: a counted skip, or a failure when everything is required."""

from __future__ import annotations

import os

import pytest


def require(condition: object, reason: str) -> None:
    """Go on when ``condition`` is true; otherwise skip with ``reason``, or fail when REQUIRE=all is set."""
    if condition:
        return
    if os.environ.get("REQUIRE") == "all":
        pytest.fail(f"required here: {reason}", pytrace=False)
    pytest.skip(reason)
