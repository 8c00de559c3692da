"""Adapters found by their entry points, and files of secrets that are replaced."""

from __future__ import annotations

import os
import stat
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.operations import adapter_types, secret_files
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


def test_a_file_is_replaced_whole_and_whoever_could_read_it_still_can(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for bits in (0o640, 0o644, 0o600, 0o400):
        file.write_text("a long old content")
        file.chmod(bits)
        replace_secret(file, "new")
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", bits)
        assert list(tmp_path.iterdir()) == [file]
    file.chmod(0o644)
    replace_secret(file, "a key", private=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_file_is_private_or_like_another(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.touch()
    model.chmod(0o640)
    replace_secret(tmp_path / "new", "x")
    replace_secret(tmp_path / "next", "x", like=model)
    replace_secret(tmp_path / "lonely", "x", like=tmp_path / "nowhere")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"model": 0o640, "new": 0o600, "next": 0o640, "lonely": 0o600}


def test_a_file_in_everybody_s_folder_is_nobody_s_model(tmp_path: Path) -> None:
    """Somebody may have put it there to read what comes."""
    tmp_path.chmod(0o1777)
    trap = tmp_path / "secret"
    trap.touch()
    trap.chmod(0o666)
    replace_secret(trap, "x")
    assert stat.S_IMODE(trap.stat().st_mode) == 0o600


def test_a_group_that_cannot_be_kept_does_not_become_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.touch()
    file.chmod(0o640)
    theirs = os.stat_result((*file.stat()[:5], file.stat().st_gid + 1, *file.stat()[6:]))
    inherit = secret_files._inherit

    def of_another_group(descriptor: int, model: os.stat_result, folder: os.stat_result, *, private: bool) -> None:
        inherit(descriptor, theirs, folder, private=private)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(secret_files, "_inherit", of_another_group)
    replace_secret(file, "x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_replaces_stays_its_owner_s(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()
    file.chmod(0o640)
    os.chown(file, 12345, 54321)
    replace_secret(file, "x")
    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 54321, 0o640)


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        replace_secret(folder, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["a folder"]
