"""Which peers take part in the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo import prosody
from gateway.demo.homeserver import GivenHomeserver
from gateway.demo.options import DemoOptions
from gateway.demo.synapse import VARIABLE
from gateway.demo.xmpp_side import GivenXmpp
from gateway.errors import ConfigError


def options(**more: object) -> DemoOptions:
    return DemoOptions(folder=Path("world"), once=True, **more)  # type: ignore[arg-type]


def test_peers_are_all_but_those_that_are_left_out() -> None:
    assert options().peers == ("email", "matrix", "xmpp")
    assert options(without=("matrix", "xmpp")).peers == ("email",)
    assert options(only=("matrix",)).peers == ("matrix",)
    with pytest.raises(ConfigError, match="no peer telex"):
        _ = options(only=("email", "telex")).peers


def test_without_synapse_matrix_is_lacking_and_the_reason_has_the_line_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "no-such-python")
    assert "pip install" in options().lacking()["matrix"]
    assert options(without=("matrix", "xmpp")).lacking() == {}
    given = GivenHomeserver("http://127.0.0.1:9", Path("registration.yaml"))
    assert "matrix" not in options(homeserver=given).lacking()
    with pytest.raises(ConfigError, match="pip install"):
        options(only=("matrix",)).lacking()
    with pytest.raises(ConfigError, match="takes no part"):
        options(only=("email",), homeserver=given).lacking()


def test_without_prosody_xmpp_is_lacking_and_the_reason_has_the_line_that_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(prosody, "FOLDERS", ())
    assert "apt-get install prosody" in options().lacking()["xmpp"]
    assert "xmpp" not in options(without=("xmpp",)).lacking()
    given = GivenXmpp("dm3.example.org", "127.0.0.1", 5347, "secret")
    assert "xmpp" not in options(xmpp=given).lacking()
    with pytest.raises(ConfigError, match="apt-get install prosody"):
        options(only=("xmpp",)).lacking()
    with pytest.raises(ConfigError, match="takes no part"):
        options(without=("xmpp",), xmpp=given).lacking()
    assert "secret" not in repr(given).replace("secret=", "")
