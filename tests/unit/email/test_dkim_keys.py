"""Key files and their DNS records."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.email.dkim.keys import DkimKey, load_keys, new_keys, parse_key, to_pem
from adapters.email.keys import FILES, main, make_keys
from gateway.sdk import ConfigError


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    make_keys(tmp_path, "dm3")
    for name in FILES:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = make_keys(tmp_path, "dm3")
    assert [key.selector for key in made] == ["dm3-ed25519", "dm3-rsa"]
    again = load_keys([tmp_path / name for name in FILES], "dm3")
    assert [key.record() for key in again] == [key.record() for key in made]


def test_keys_are_never_replaced(tmp_path: Path) -> None:
    first = [key.record() for key in make_keys(tmp_path, "dm3")]
    assert [key.record() for key in make_keys(tmp_path, "dm3")] == first
    (tmp_path / FILES[0]).unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        make_keys(tmp_path, "dm3")


def test_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adapters.email.keys", "gw.example", str(tmp_path), "s1"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r's1-ed25519\._domainkey\.gw\.example\. IN TXT "v=DKIM1; k=ed25519; p=[\w+/]{43}="', first)
    assert second.startswith('s1-rsa._domainkey.gw.example. IN TXT "v=DKIM1; k=rsa; p=')
    strings = re.findall(r'"([^"]*)"', second)
    assert len(strings) == 2
    assert all(len(each) <= 255 for each in strings)
    (_, rsa) = load_keys([tmp_path / name for name in FILES], "s1")
    assert "".join(strings) == rsa.record()


@pytest.mark.parametrize("arguments", [[], ["gw.example"], ["a", "b", "c", "d"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gw.example", str(tmp_path / "missing")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def pem(private: object) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined, no-any-return]


def test_keys_that_are_refused() -> None:
    for content in (b"", b"no key", pem(new_ec_key(SECP256R1())), pem(new_rsa_key(65537, 1024))):
        with pytest.raises(ConfigError):
            parse_key(content, "dm3")


def test_two_keys_of_a_kind_need_two_selectors(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.pem").write_text(to_pem(new_keys("dm3")[0]))
    with pytest.raises(ConfigError, match="selector"):
        load_keys([tmp_path / "0.pem", tmp_path / "1.pem"], "dm3")


def test_a_private_key_is_not_shown() -> None:
    for key in new_keys("dm3"):
        assert repr(key) == f"DkimKey(selector={key.selector!r})"
        assert isinstance(key, DkimKey)
