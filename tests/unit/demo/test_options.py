"""Which peers take part in the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.homeserver import GivenHomeserver
from gateway.demo.options import DemoOptions
from gateway.demo.synapse import VARIABLE
from gateway.errors import ConfigError


def options(**more: object) -> DemoOptions:
    return DemoOptions(folder=Path("world"), once=True, **more)  # type: ignore[arg-type]


def test_peers_are_all_but_those_that_are_left_out() -> None:
    assert options().peers == ("email", "matrix")
    assert options(without=("matrix",)).peers == ("email",)
    assert options(only=("matrix",)).peers == ("matrix",)
    with pytest.raises(ConfigError, match="no peer telex"):
        _ = options(only=("email", "telex")).peers


def test_without_synapse_matrix_is_lacking_and_the_reason_has_the_line_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "no-such-python")
    assert "pip install" in options().lacking()["matrix"]
    assert options(without=("matrix",)).lacking() == {}
    given = GivenHomeserver("http://127.0.0.1:9", Path("registration.yaml"))
    assert options(homeserver=given).lacking() == {}
    with pytest.raises(ConfigError, match="pip install"):
        options(only=("matrix",)).lacking()
    with pytest.raises(ConfigError, match="takes no part"):
        options(only=("email",), homeserver=given).lacking()
