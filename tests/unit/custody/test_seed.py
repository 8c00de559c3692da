"""The seed file: made once, private, and read in both forms."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.custody.seed import MasterSeed, create_seed, load_seed
from gateway.errors import CustodyError

SECRET = bytes(range(32))


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_created_seed_is_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "seed.key"
    seed = create_seed(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_seed(path) == seed
    assert load_seed(str(path)) == seed
    assert len(seed.secret) == 32


def test_created_seed_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_seed(tmp_path / "seed.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "seed.key").stat().st_mode) == 0o600


def test_seeds_differ(tmp_path: Path) -> None:
    assert len({create_seed(tmp_path / str(number)).secret for number in range(5)}) == 5


def test_a_seed_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "seed.key"
    seed = create_seed(path)
    with pytest.raises(CustodyError, match="cannot be made"):
        create_seed(path)
    assert load_seed(path) == seed


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "seed.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CustodyError):
        create_seed(tmp_path / "seed.key")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        SECRET.hex().encode(),
        SECRET.hex().upper().encode(),
        SECRET.hex().encode() + b"\n",
        SECRET.hex().encode() + b"\r\n",
    ],
)
def test_both_forms(tmp_path: Path, content: bytes) -> None:
    assert load_seed(write(tmp_path / "seed.key", content)) == MasterSeed(SECRET)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(31),
        bytes(33),
        SECRET.hex().encode()[:-1],
        SECRET.hex().encode() + b"0",
        b"z" * 64,
        b"0x" + SECRET.hex().encode(),
        bytes(4096),
    ],
)
def test_other_contents_are_refused_without_showing_them(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CustodyError) as caught:
        load_seed(write(tmp_path / "seed.key", content))
    assert not content or content.hex() not in str(caught.value)
    assert SECRET.hex()[:20] not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_seed_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "seed.key", SECRET, mode)
    with pytest.raises(CustodyError, match="chmod 600"):
        load_seed(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_private_modes(tmp_path: Path, mode: int) -> None:
    assert load_seed(write(tmp_path / "seed.key", SECRET, mode)).secret == SECRET


def test_credentials_of_systemd_are_group_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "seed", SECRET, 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_seed(path).secret == SECRET
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "other"))
    with pytest.raises(CustodyError):
        load_seed(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="No such file"):
        load_seed(tmp_path / "none")
    with pytest.raises(CustodyError):
        load_seed(tmp_path)
    with pytest.raises(CustodyError):
        create_seed(tmp_path / "no" / "folder")


def test_no_regular_file() -> None:
    with pytest.raises(CustodyError, match="regular"):
        load_seed("/dev/null")


def test_the_secret_is_in_no_repr() -> None:
    seed = MasterSeed(b"canary" * 5 + b"!!")
    assert "canary" not in repr(seed)
    assert "canary" not in f"{seed}"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_length(size: int) -> None:
    with pytest.raises(CustodyError):
        MasterSeed(bytes(size))
