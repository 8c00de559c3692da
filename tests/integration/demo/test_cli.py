"""The commands as an operator types them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo.registration_file import read_registration
from gateway.store.schema import REVISION

INIT = ("--parent", "gw.eth", "--public-url", "https://gw.example", "--rpc", "http://127.0.0.1:9")


def run(
    *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **(env or {})},
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    done = run("init", "--dir", str(tmp_path), *INIT, "--email-domain", "gw.example", "--yes")
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_init_makes_what_serve_needs(installed: Path) -> None:
    keys = ("seed.key", "relay.key", "resolver.key", "return-path.key", "vapid.key")
    for name in (*keys, "dkim-ed25519.pem", "dkim-rsa.pem"):
        assert stat.S_IMODE((installed / name).stat().st_mode) == 0o600
    config = str(installed / "gateway.toml")
    checked = run("config", "check", "--config", config)
    assert checked.returncode == 0
    assert "right. Adapters: email" in checked.stdout


def test_init_tells_what_to_put_on_chain(tmp_path: Path) -> None:
    done = run("init", "--dir", str(tmp_path), *INIT, "--yes")
    assert "signers: 0x" in done.stdout
    assert "https://gw.example/ccip/<address of the contract>/{data}.json?via={sender}" in done.stdout
    secrets = [(tmp_path / name).read_text().strip() for name in ("seed.key", "resolver.key", "vapid.key")]
    assert not any(secret in done.stdout + done.stderr for secret in secrets)


def test_init_never_overwrites(installed: Path) -> None:
    seed = (installed / "seed.key").read_bytes()
    again = run("init", "--dir", str(installed), *INIT, "--yes")
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    assert (installed / "seed.key").read_bytes() == seed


def test_init_asks_when_it_is_not_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "init", "--dir", str(tmp_path)],
        input="my.eth\nhttps://my.example\nhttp://127.0.0.1:1\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert 'parent = "my.eth"' in (tmp_path / "gateway.toml").read_text()


def test_init_tells_where_the_dns_records_of_mail_are_printed(tmp_path: Path) -> None:
    done = run("init", "--dir", str(tmp_path), *INIT, "--email-domain", "mail.example", "--yes")
    assert done.returncode == 0, done.stderr
    assert "mail.example needs records" in done.stdout
    assert f'dm3-gateway doctor --only email --config "{tmp_path / "gateway.toml"}"' in done.stdout


def test_a_wrong_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run("init", "--dir", str(tmp_path), "--parent", "gw.eth", "--public-url", "no address", "--rpc", "http://x")
    assert done.returncode == 1
    assert "server.public_url" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def with_matrix(tmp_path: Path) -> Path:
    flags = ("--matrix-homeserver", "http://hs.example:8008", "--matrix-server-name", "people.example")
    done = run("init", "--dir", str(tmp_path), *INIT, *flags, "--yes")
    assert done.returncode == 0, done.stderr
    (tmp_path / "told").write_text(done.stdout)
    return tmp_path


def test_init_makes_what_matrix_needs(with_matrix: Path) -> None:
    tokens = [(with_matrix / f"matrix-{which}.token").read_text().strip() for which in ("as", "hs")]
    assert all(len(bytes.fromhex(token)) == 32 for token in tokens)
    for name in ("matrix-as.token", "matrix-hs.token", "matrix-registration.yaml"):
        assert stat.S_IMODE((with_matrix / name).stat().st_mode) == 0o600
    registered = read_registration(with_matrix / "matrix-registration.yaml")
    assert [registered.as_token, registered.hs_token] == tokens
    assert registered.server_name == "people.example"
    assert registered.url == "https://gw.example"
    checked = run("config", "check", "--config", str(with_matrix / "gateway.toml"))
    assert "right. Adapters: matrix" in checked.stdout
    told = (with_matrix / "told").read_text()
    assert not any(token in told for token in tokens)
    assert told.endswith(f'app_service_config_files:\n  - "{(with_matrix / "matrix-registration.yaml").resolve()}"\n')


def test_the_server_s_name_is_the_host_of_its_address_unless_it_is_told(tmp_path: Path) -> None:
    done = run("init", "--dir", str(tmp_path), *INIT, "--matrix-homeserver", "https://hs.example:8448", "--yes")
    assert done.returncode == 0, done.stderr
    assert 'server_name = "hs.example"' in (tmp_path / "gateway.toml").read_text()
    alone = run("init", "--dir", str(tmp_path / "b"), *INIT, "--matrix-server-name", "hs.example", "--yes")
    assert alone.returncode == 2
    assert "--matrix-homeserver" in alone.stderr


@pytest.fixture
def with_xmpp(tmp_path: Path) -> Path:
    flags = ("--xmpp-component", "dm3.people.example", "--xmpp-host", "10.0.0.4", "--xmpp-port", "5348")
    done = run("init", "--dir", str(tmp_path), *INIT, *flags, "--yes")
    assert done.returncode == 0, done.stderr
    (tmp_path / "told").write_text(done.stdout)
    return tmp_path


def test_init_makes_what_xmpp_needs(with_xmpp: Path) -> None:
    secret = (with_xmpp / "xmpp.secret").read_text().strip()
    assert len(bytes.fromhex(secret)) == 32
    for name in ("xmpp.secret", "xmpp-prosody.cfg.lua", "xmpp-ejabberd.yml"):
        assert stat.S_IMODE((with_xmpp / name).stat().st_mode) == 0o600
        assert secret in (with_xmpp / name).read_text()
    prosody, ejabberd = (with_xmpp / name for name in ("xmpp-prosody.cfg.lua", "xmpp-ejabberd.yml"))
    assert 'Component "dm3.people.example"\n' in prosody.read_text()
    assert "component_ports = { 5348 }" in prosody.read_text()
    assert '  - port: 5348\n    ip: "::"\n' in ejabberd.read_text()
    checked = run("config", "check", "--config", str(with_xmpp / "gateway.toml"))
    assert "right. Adapters: xmpp" in checked.stdout
    told = (with_xmpp / "told").read_text()
    assert secret not in told
    assert f'Include "{prosody.resolve()}"\n' in told
    assert told.endswith(f'include_config_file: ["{ejabberd.resolve()}"]\n')


def test_xmpp_is_where_servers_listen_by_default_unless_it_is_told(tmp_path: Path) -> None:
    done = run("init", "--dir", str(tmp_path), *INIT, "--xmpp-component", "dm3.people.example", "--yes")
    assert done.returncode == 0, done.stderr
    assert "component_ports" not in (tmp_path / "xmpp-prosody.cfg.lua").read_text()
    assert '  - port: 5347\n    ip: "127.0.0.1"\n' in (tmp_path / "xmpp-ejabberd.yml").read_text()
    alone = run("init", "--dir", str(tmp_path / "b"), *INIT, "--xmpp-port", "5347", "--yes")
    assert alone.returncode == 2
    assert "--xmpp-component" in alone.stderr
    wrong = run("init", "--dir", str(tmp_path / "c"), *INIT, "--xmpp-component", "two words", "--yes")
    assert wrong.returncode == 1
    assert "component: must be a domain" in wrong.stderr
    assert list((tmp_path / "c").iterdir()) == []


def test_a_network_with_several_kinds_of_servers_has_a_file_for_each(with_xmpp: Path) -> None:
    config = str(with_xmpp / "gateway.toml")
    for name in ("xmpp-prosody.cfg.lua", "xmpp-ejabberd.yml"):
        printed = run("registration", "xmpp", name, "--config", config)
        assert printed.stdout == (with_xmpp / name).read_text()
    done = run("registration", "xmpp", "--config", config)
    assert done.returncode == 1
    assert "name one of its files: xmpp-prosody.cfg.lua, xmpp-ejabberd.yml" in done.stderr


@pytest.mark.parametrize("url", ["hs.example", "ftp://hs.example", "http://"])
def test_a_wrong_homeserver_leaves_nothing_behind(tmp_path: Path, url: str) -> None:
    done = run("init", "--dir", str(tmp_path), *INIT, "--matrix-homeserver", url, "--yes")
    assert done.returncode == 1
    assert "adapters.matrix: homeserver_url" in done.stderr or "adapters.matrix.homeserver_url" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_registration_is_printed_or_written_whole(with_matrix: Path) -> None:
    config, file = str(with_matrix / "gateway.toml"), with_matrix / "elsewhere.yaml"
    made = (with_matrix / "matrix-registration.yaml").read_text()
    assert run("registration", "matrix", "--config", config).stdout == made
    file.write_text("an old one")
    file.chmod(0o640)
    done = run("registration", "matrix", "--config", config, "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert "token" not in done.stdout
    assert file.read_text() == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o640, "whoever may read it now may read it then"


@pytest.mark.parametrize(
    ("network", "change", "said"),
    [
        ("telex", "", "adapters.telex: no such adapter is installed (known: email, matrix"),
        ("email", "", "adapters.email: servers of this network take no registration file"),
        ("matrix", "section", "adapters.matrix: the configuration has no such table"),
        ("matrix", "token", "matrix-hs.token: cannot be read"),
        ("matrix", "folder", "cannot be written"),
    ],
)
def test_why_there_is_no_registration(with_matrix: Path, network: str, change: str, said: str) -> None:
    config = with_matrix / "gateway.toml"
    output = with_matrix / ("nowhere" if change == "folder" else "") / "registration.yaml"
    if change == "section":
        config.write_text(config.read_text().partition("[adapters.matrix]")[0])
    if change == "token":
        (with_matrix / "matrix-hs.token").unlink()
    done = run("registration", network, "--config", str(config), "--output", str(output))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_migrate_makes_the_database_and_says_so(installed: Path) -> None:
    config = str(installed / "gateway.toml")
    first, second = run("migrate", "--config", config), run("migrate", "--config", config)
    assert f"none -> {REVISION}" in first.stdout
    assert f"{REVISION} -> {REVISION}" in second.stdout
    assert (installed / "gateway.db").exists()
    assert run("migrate", "--config", config, "--to", "base").returncode == 0


def test_serve_without_a_database_says_what_to_do(installed: Path) -> None:
    done = run("serve", "--config", str(installed / "gateway.toml"))
    assert done.returncode == 1
    assert "dm3-gateway migrate" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_configuration_is_found_in_the_folder_and_by_the_variable(installed: Path, tmp_path: Path) -> None:
    assert run("config", "check", cwd=installed).returncode == 0
    config = str(installed / "gateway.toml")
    assert run("config", "check", cwd=Path("/"), env={"DM3_GATEWAY_CONFIG": config}).returncode == 0
    missing = run("config", "check", cwd=Path("/"))
    assert missing.returncode == 1
    assert "dm3-gateway init" in missing.stderr


def test_a_wrong_configuration_is_one_line_for_each_fault(installed: Path) -> None:
    config = installed / "gateway.toml"
    config.write_text(config.read_text().replace("port = 8080", "port = 99999\nprot = 1"))
    done = run("config", "check", "--config", str(config))
    assert done.returncode == 1
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "server.port: Input should be less than or equal to 65535 (example: port = 8080)",
        "server.prot: is not a known key",
    ]


def test_an_adapter_s_wrong_key_is_told_like_any_other(installed: Path) -> None:
    config = installed / "gateway.toml"
    config.write_text(config.read_text() + 'smtp_prot = 25\n[adapters.telex]\nnumber = "1"\n')
    done = run("config", "check", "--config", str(config))
    assert done.returncode == 1
    assert "adapters.email" in done.stderr
    assert "smtp_prot" in done.stderr


def test_an_unknown_adapter_is_named(installed: Path) -> None:
    config = installed / "gateway.toml"
    config.write_text(config.read_text() + '[adapters.telex]\nnumber = "1"\n')
    done = run("config", "check", "--config", str(config))
    assert "adapters.telex: no such adapter is installed" in done.stderr
    assert "email" in done.stderr


def test_show_prints_what_is_in_effect_and_hides_secrets(installed: Path) -> None:
    config = installed / "gateway.toml"
    config.write_text(config.read_text() + 'relay_password_file = "canary.txt"\n')
    done = run("config", "show", "--config", str(config), env={"DM3_GATEWAY__SERVER__PORT": "9999"})
    assert '"port": 9999' in done.stdout
    assert "canary" not in done.stdout


def test_show_hides_access_keys_of_servers(installed: Path) -> None:
    config = str(installed / "gateway.toml")
    hidden = {
        "DM3_GATEWAY__STORE__URL": "postgresql://gateway:canary@db/mail",
        "DM3_GATEWAY__CHAIN__RPC_URLS": '["https://eth.example/v3/canary"]',
        "DM3_GATEWAY__ADAPTERS__EMAIL__LOGIN__PASSWORD": "canary",
    }
    done = run("config", "show", "--config", config, env=hidden)
    assert json.loads(done.stdout)["chain"]["rpc_urls"] == ["https://eth.example/[hidden]"]
    assert "canary" not in done.stdout + done.stderr


def test_an_unknown_log_level_is_a_usage_error(installed: Path) -> None:
    done = run("serve", "--config", str(installed / "gateway.toml"), "--log-level", "foo")
    assert done.returncode == 2
    assert "--log-level" in done.stderr
    assert "warning" in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)])
def test_a_parent_that_is_no_name_stops_the_command(installed: Path, command: tuple[str, ...]) -> None:
    config = str(installed / "gateway.toml")
    done = run(*command, "--config", config, env={"DM3_GATEWAY__ENS__PARENT": "Not a name!!"})
    assert done.returncode == 1
    assert "ens.parent: " in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_tells_of_a_revision_that_does_not_exist(installed: Path) -> None:
    config = str(installed / "gateway.toml")
    run("migrate", "--config", config)
    done = run("migrate", "--config", config, "--to", "7777")
    assert done.returncode == 1
    assert "7777" in done.stderr
    assert "Traceback" not in done.stderr


def test_schema_is_json() -> None:
    assert "server" in json.loads(run("config", "schema").stdout)["properties"]


def test_identities_of_a_new_installation_are_none(installed: Path) -> None:
    config = str(installed / "gateway.toml")
    run("migrate", "--config", config)
    done = run("identities", "list", "--config", config)
    assert done.returncode == 0
    assert "network" in done.stdout


def test_version_and_help() -> None:
    assert run("--version").stdout.strip() == "0.1.0"
    shown = run("--help").stdout
    for command in ("serve", "demo", "init", "migrate", "config", "identities", "registration"):
        assert command in shown
