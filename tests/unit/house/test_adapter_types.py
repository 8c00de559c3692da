"""Adapters found by their entry points, and files of secrets that are replaced."""

from __future__ import annotations

import stat
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.operations import adapter_types
from gateway.operations.adapter_types import ADAPTERS_GROUP, adapter_type
from gateway.operations.secret_files import replace_secret
from gateway.sdk import Registers


def test_what_an_adapter_can_do_is_seen_at_its_class() -> None:
    assert isinstance(adapter_type("matrix"), Registers)
    assert isinstance(adapter_type("xmpp"), Registers)
    assert not isinstance(adapter_type("email"), Registers)


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("telex", "no_such_library.adapter:TelexAdapter", ADAPTERS_GROUP)
    monkeypatch.setattr(adapter_types, "entry_points", lambda group: [point])
    with pytest.raises(ConfigError, match=r"no_such_library.*pip install 'dm3-gateway\[telex\]'"):
        adapter_type("telex")


def test_a_file_is_replaced_whole_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a long old content")
    file.chmod(0o644)
    replace_secret(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        replace_secret(folder, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["a folder"]
