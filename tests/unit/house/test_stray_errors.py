"""What no name was given to is a line for the operator, and never a traceback."""

from __future__ import annotations

import errno

import pytest

from gateway import cli, cli_common


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/[x]"), "/data/[x]: No space left on device"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_a_stray_error_of_the_system_is_one_line(
    error: OSError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    cli_common.err.__dict__.pop("console", None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    cli_common.err.__dict__.pop("console", None)
    assert (ended.value.code, capsys.readouterr().err.strip()) == (1, told)
