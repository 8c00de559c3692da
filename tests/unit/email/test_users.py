"""The file of submission users: hashes, lines, faults with their line number."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from adapters.email.users import (
    ScryptHash,
    User,
    check_password,
    hash_password,
    load_users,
    main,
    parse_hash,
    parse_users,
)
from gateway.sdk import CanonicalId, ConfigError

SECRET = hash_password("secret")
SALT = base64.b64encode(b"saltsalt").decode()
DIGEST = base64.b64encode(b"d" * 32).decode()


def test_a_hash_knows_its_password() -> None:
    assert SECRET.matches("secret")
    assert not SECRET.matches("Secret")
    assert not SECRET.matches("")
    assert not SECRET.matches("x" * 2000)


def test_a_hash_comes_back_as_it_was_written() -> None:
    assert parse_hash(str(SECRET)) == SECRET


def test_equal_passwords_have_different_hashes() -> None:
    assert hash_password("secret") != SECRET


def test_the_known_answer_of_rfc_7914() -> None:
    digest = bytes.fromhex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
    assert ScryptHash(1024, 8, 16, b"NaCl", digest).matches("password")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "scrypt$16384$8$1$x",
        f"bcrypt$16384$8$1${SALT}${DIGEST}",
        f"scrypt$16383$8$1${SALT}${DIGEST}",
        f"scrypt$512$8$1${SALT}${DIGEST}",
        f"scrypt$1048576$8$1${SALT}${DIGEST}",
        f"scrypt$16384$0$1${SALT}${DIGEST}",
        f"scrypt$16384$64$1${SALT}${DIGEST}",
        f"scrypt$16384$8$100${SALT}${DIGEST}",
        f"scrypt$-16384$8$1${SALT}${DIGEST}",
        f"scrypt$16384$8$1$!!!${DIGEST}",
        f"scrypt$16384$8$1$YQ==${DIGEST}",
        f"scrypt$16384$8$1${SALT}$YQ==",
        f"scrypt$x$8$1${SALT}${DIGEST}",
    ],
)
def test_hashes_that_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_hash(text)


def test_users() -> None:
    users = parse_users(f"# people\n\nbob:{SECRET}:bob@example.net, Bob@Example.ORG\neve:{SECRET}:eve@example.net\n")
    assert users["bob"] == User(
        "bob", SECRET, frozenset({CanonicalId("bob@example.net"), CanonicalId("bob@example.org")})
    )
    assert set(users) == {"bob", "eve"}
    assert check_password(users, "bob", "secret")
    assert not check_password(users, "bob", "other")
    assert not check_password(users, "nobody", "secret")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("bob", "login:hash:address"),
        (f"bob:{SECRET}", "login:hash:address"),
        (f"bob:{SECRET}:", "login:hash:address"),
        (f":{SECRET}:bob@example.net", "login:hash:address"),
        ("bob:secret:bob@example.net", "password hash"),
        (f"bob:{SECRET}:no address", "mail address"),
        (f"bob:{SECRET}:a@example.net\nbob:{SECRET}:b@example.net", "there before"),
    ],
    ids=range(7),
)
def test_faults_name_their_line(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as fault:
        parse_users("# first line\n" + line)
    assert fault.value.detail.startswith(("line 2: ", "line 3: "))
    assert str(SECRET) not in fault.value.detail


def test_secrets_are_not_shown() -> None:
    users = parse_users(f"bob:{SECRET}:bob@example.net")
    assert base64.b64encode(SECRET.digest).decode() not in repr(users)
    assert repr(SECRET.digest) not in repr(users)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"bob:{SECRET}:bob@example.net\n")
    assert set(load_users(path)) == {"bob"}
    path.write_text("nonsense")
    with pytest.raises(ConfigError, match="users: line 1"):
        load_users(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_users(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_users(tmp_path / "absent")


def test_the_command_writes_a_line_that_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    assert main(["bob", "bob@example.net", "b@example.org"]) == 0
    users = parse_users(capsys.readouterr().out)
    assert check_password(users, "bob", "secret")
    assert len(users["bob"].addresses) == 2
    assert main(["bob"]) == 2
    assert "usage" in capsys.readouterr().err
