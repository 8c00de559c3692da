"""A new installation: complete, private, never overwritten; and the relay's key file."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.custody.seed import load_seed
from gateway.errors import ConfigError
from gateway.operations.installation import Answers, create_installation, create_relay_key, matrix_table, xmpp_table
from gateway.relay.keys import load_service_keys
from gateway.relay.notify.vapid import load_vapid_key
from gateway.resolver.signer import load_signer
from gateway.settings import load_settings

ANSWERS = Answers(
    parent="gw.eth",
    public_url="https://gw.example",
    rpc_url="https://eth.example",
    resolver_address="0x" + "12" * 20,
    adapters={"email": {"domain": "gw.example", "allowed_senders": ["example.org"], "smtp_port": 25}},
)

MATRIX_TOKENS = ("matrix-as.token", "matrix-hs.token")


def test_everything_that_was_written_can_be_read(tmp_path: Path) -> None:
    settings = load_settings(create_installation(tmp_path / "new", ANSWERS), {})
    assert settings.ens.resolver_addresses == ("0x" + "12" * 20,)
    assert settings.adapters["email"]["allowed_senders"] == ["example.org"]
    assert settings.adapters["email"]["return_path_key_file"] == "return-path.key"
    load_seed(settings.custody.seed_file)
    load_signer(settings.ens.signer_key_file)
    load_service_keys(settings.relay.key_file)
    assert settings.notifications.vapid_key_file is not None
    load_vapid_key(settings.notifications.vapid_key_file)


def test_no_two_secrets_are_the_same(tmp_path: Path) -> None:
    others = {"matrix": matrix_table("http://hs.example", None), "xmpp": xmpp_table("dm3.example.org", None, None)}
    answers = replace(ANSWERS, adapters={**ANSWERS.adapters, **others})
    create_installation(tmp_path / "a", answers)
    create_installation(tmp_path / "b", answers)
    names = ("seed.key", "relay.key", "resolver.key", "return-path.key", "vapid.key", "xmpp.secret", *MATRIX_TOKENS)
    contents = [(tmp_path / folder / name).read_text() for folder in "ab" for name in names]
    assert len(set(contents)) == len(contents)


def test_tokens_that_the_answers_name_are_not_made(tmp_path: Path) -> None:
    given = {}
    for which in ("as", "hs"):
        (tmp_path / f"{which}.token").write_text(which * 20)
        given[f"{which}_token_file"] = f"{which}.token"
    table = {**matrix_table("http://hs.example", "people.example"), **given}
    create_installation(tmp_path, replace(ANSWERS, adapters={"matrix": table}))
    assert not any((tmp_path / name).exists() for name in MATRIX_TOKENS)
    assert "as" * 20 in (tmp_path / "matrix-registration.yaml").read_text()


def test_a_secret_that_the_answers_name_is_told_to_servers_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text('a "quoted\\" für\n', encoding="utf-8")
    table = {**xmpp_table("dm3.example.org", "::1", 5347), "secret_file": "mine"}
    create_installation(tmp_path, replace(ANSWERS, adapters={"xmpp": table}))
    assert not (tmp_path / "xmpp.secret").exists()
    assert r'component_secret = "a \034quoted\092\034 f\195\188r"' in (tmp_path / "xmpp-prosody.cfg.lua").read_text()
    assert r'password: "a \"quoted\\\" f\u00fcr"' in (tmp_path / "xmpp-ejabberd.yml").read_text()


def test_an_adapter_s_wrong_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    wrong = replace(ANSWERS, adapters={"matrix": matrix_table("http://hs.example", "two words")})
    with pytest.raises(ConfigError, match=r"adapters\.matrix.*server_name"):
        create_installation(tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "present",
    [
        "gateway.toml",
        "seed.key",
        "relay.key",
        "resolver.key",
        "vapid.key",
        "matrix-hs.token",
        "matrix-registration.yaml",
        "xmpp.secret",
        "xmpp-prosody.cfg.lua",
        "xmpp-ejabberd.yml",
    ],
)
def test_nothing_is_overwritten(tmp_path: Path, present: str) -> None:
    (tmp_path / present).write_text("precious")
    with pytest.raises(ConfigError, match=present):
        create_installation(tmp_path, ANSWERS)
    assert [file.name for file in tmp_path.iterdir()] == [present]


@pytest.mark.parametrize("parent", ["Not a name!!", "", "GW.eth", "gw..eth", "x" * 256])
def test_a_parent_that_is_no_name_is_refused_before_anything_is_written(tmp_path: Path, parent: str) -> None:
    with pytest.raises(ConfigError, match=r"^ens\.parent: "):
        create_installation(tmp_path / "new", replace(ANSWERS, parent=parent))
    assert list(tmp_path.iterdir()) == []


def test_every_file_is_its_owner_s(tmp_path: Path) -> None:
    """The configuration, too: the address of an RPC server may hold an access key."""
    create_installation(tmp_path / "new", ANSWERS)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "new").iterdir()} == {0o600}


def test_a_folder_that_cannot_be_written_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^/proc/nope: cannot be written: [^\n]+$"):
        create_installation(Path("/proc/nope"), ANSWERS)


def test_relay_keys_are_two_different_pairs(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    create_relay_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = load_service_keys(path)
    assert keys.encryption.public != keys.signing.public
    assert load_service_keys(path) == keys
    assert path.read_text().split('"')[1] not in repr(keys)


@pytest.mark.parametrize(
    "content",
    ["", "encryption = 1", 'encryption = "00"\nsigning = "11"', 'encryption = "zz"', "\xff", "x" * 10],
    ids=repr,
)
def test_a_damaged_key_file_is_told_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "relay.key"
    path.write_text(content, "utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=str(path)):
        load_service_keys(path)


def test_one_seed_for_both_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    path.write_text('encryption = "{0}"\nsigning = "{0}"\n'.format("ab" * 32))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="differ"):
        load_service_keys(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "relay.key"
    create_relay_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_service_keys(path)


def test_a_missing_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_service_keys(tmp_path / "none.key")
