"""Commands that run in the test's own process leave it as it was."""

from __future__ import annotations

import pytest

COMMANDS = ("cli", "cli_backup", "cli_doctor", "cli_queue", "cli_secrets")


@pytest.fixture(autouse=True)
def logging_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up the log of its process, and what other tests listen for would be below its level."""
    for each in COMMANDS:
        monkeypatch.setattr(f"gateway.{each}.set_up_logging", lambda *_: None)
