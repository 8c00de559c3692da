"""gateway.toml and the environment: right ones are read, wrong ones are explained in one line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings import NotificationSettings, Settings, find_config, load_settings, shown

MINIMAL = """
[server]
public_url = "https://gw.example/"
[chain]
rpc_urls = ["https://eth.example"]
[ens]
parent = "gw.eth"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(MINIMAL)
    return path


def faults(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return caught.value.detail.splitlines()


def test_a_minimal_file_has_sane_defaults(config: Path) -> None:
    settings = load_settings(config, {})
    assert settings.server.public_url == "https://gw.example"
    assert settings.server.host == "127.0.0.1"
    assert settings.chain.chain_id == 1
    assert settings.chain.quorum == 1
    assert settings.relay.message_ttl_days == 30
    assert settings.relay.size_limit == 20_000_000
    assert settings.relay.require_verified_sender is True
    assert settings.chain.allow_private_gateways is False
    assert settings.adapters == {}
    assert settings.notifications == NotificationSettings()


def test_notifications_are_sent_after_a_minute_and_without_a_key_not_pushed(config: Path) -> None:
    notifications = load_settings(config, {}).notifications
    assert (notifications.delay_seconds, notifications.min_interval_seconds) == (60, 300)
    assert notifications.vapid_key_file is None
    config.write_text(
        MINIMAL + '[notifications]\nvapid_key_file = "vapid.key"\nvapid_subject = "mailto:op@gw.example"\n'
    )
    notifications = load_settings(config, {"DM3_GATEWAY__NOTIFICATIONS__DELAY_SECONDS": "0"}).notifications
    assert notifications.vapid_key_file == config.parent / "vapid.key"
    assert (notifications.vapid_subject, notifications.delay_seconds) == ("mailto:op@gw.example", 0)


@pytest.mark.parametrize(
    "line",
    [
        "delay_seconds = -1",
        "delay_seconds = 100000",
        "min_interval_seconds = 1000000",
        'vapid_subject = "op@gw.example"',
        'vapid_key = "x"',
    ],
)
def test_wrong_notification_settings_are_told(config: Path, line: str) -> None:
    config.write_text(MINIMAL + f"[notifications]\n{line}\n")
    [fault] = faults(config)
    assert f"notifications.{line.partition(' ')[0]}" in fault


def test_paths_are_relative_to_the_file(config: Path) -> None:
    settings = load_settings(config, {})
    assert settings.custody.seed_file == config.parent / "seed.key"
    assert settings.store.url == f"sqlite:///{config.parent}/gateway.db"


def test_every_key_can_come_from_the_environment(config: Path) -> None:
    settings = load_settings(
        config,
        {
            "DM3_GATEWAY__SERVER__PORT": "9000",
            "DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:1", "http://127.0.0.1:2"]',
            "DM3_GATEWAY__RELAY__REQUIRE_VERIFIED_SENDER": "false",
            "DM3_GATEWAY__ADAPTERS__EMAIL__DOMAIN": "gw.example",
            "DM3_GATEWAY__STORE__URL": "postgresql://gateway@/mail?host=/run",
            "HOME": "/root",
        },
    )
    assert settings.server.port == 9000
    assert len(settings.chain.rpc_urls) == 2
    assert settings.relay.require_verified_sender is False
    assert settings.adapters["email"]["domain"] == "gw.example"
    assert settings.store.url == "postgresql://gateway@/mail?host=/run"


@pytest.mark.parametrize(
    ("addition", "line"),
    [
        ("[relay]\nsize_limits = 1", "relay.size_limits: is not a known key"),
        ("[relays]\n", "relays: is not a known key"),
        ("[relay]\nsize_limit = 1", "relay.size_limit: Input should be greater than or equal to 10000"),
        ("[relay]\nsize_limit = 'x'", "relay.size_limit: Input should be a valid integer"),
        ("[store]\nurl = 'mysql://x'", "store.url: must be sqlite:///file.db or postgresql://user@host/database"),
    ],
)
def test_a_wrong_key_is_one_line_with_file_key_and_reason(config: Path, addition: str, line: str) -> None:
    config.write_text(MINIMAL + addition)
    (found,) = faults(config)
    assert found.startswith(f"{config}: {line}")


def test_all_faults_are_told_at_once_with_examples(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("[server]\nport = 70000\n[ens]\n")
    found = faults(path)
    assert any("server.port" in line and "example: port = 8080" in line for line in found)
    assert any("server.public_url: is missing" in line and "https://gw.example" in line for line in found)
    assert any("ens.parent: is missing" in line for line in found)
    assert any("chain: is missing" in line for line in found)


def test_a_value_is_never_repeated_because_it_may_be_a_secret(config: Path) -> None:
    found = faults(config, {"DM3_GATEWAY__STORE__URL": "mysql://root:hunter2@db"})
    assert "hunter2" not in "\n".join(found)


def test_an_environment_variable_without_a_section_is_refused(config: Path) -> None:
    assert "DM3_GATEWAY__PORT" in faults(config, {"DM3_GATEWAY__PORT": "1"})[0]


@pytest.mark.parametrize(
    ("content", "variable", "key"),
    [
        ("server = 5\n" + MINIMAL.replace("[server]", "[other]"), "DM3_GATEWAY__SERVER__PORT", "server"),
        ("relay = 'x'\n" + MINIMAL, "DM3_GATEWAY__RELAY__SIZE_LIMIT", "relay"),
        (MINIMAL + "[adapters]\nemail = 5\n", "DM3_GATEWAY__ADAPTERS__EMAIL__SMTP_PORT", "adapters.email"),
    ],
)
def test_a_value_where_a_table_should_be_is_told_beside_a_variable_for_a_key_in_it(
    config: Path, content: str, variable: str, key: str
) -> None:
    config.write_text(content)
    assert any(f"{key}: must be a table" in line for line in faults(config, {variable: "20000"}))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DM3_GATEWAY__STORE__URL", "DM3_GATEWAY__STORE__URL__HOST"),
        ("DM3_GATEWAY__ADAPTERS__EMAIL", "DM3_GATEWAY__ADAPTERS__EMAIL__DOMAIN"),
        ("DM3_GATEWAY__SERVER__PORT", "DM3_GATEWAY__server__port"),
    ],
)
def test_variables_that_contradict_each_other_are_told(config: Path, first: str, second: str, turned: bool) -> None:
    names = (second, first) if turned else (first, second)
    (line,) = faults(config, dict.fromkeys(names, "1"))
    assert line.startswith(f"${names[1]}: another variable gives")


SECRET_TABLE = """
[adapters.matrix]
homeserver = "https://bot:canary-1@matrix.example/path"
as_token = "canary-2"
[adapters.matrix.login]
password = "canary-3"
servers = ["https://x:canary-4@y.example", {api_token = "canary-5", name = "seen-1"}]
"""


def test_nothing_that_is_shown_is_a_secret(config: Path) -> None:
    config.write_text(
        MINIMAL.replace(
            '"https://eth.example"', '"https://u:canary-6@eth.example/v3/canary-7", "http://127.0.0.1:8545/"'
        )
        + '[store]\nurl = "postgresql://gateway:canary/8@db/mail?password=canary-9&host=/run"\n'
        + SECRET_TABLE
    )
    values = shown(load_settings(config, {}))
    assert "canary" not in json.dumps(values)
    assert values["chain"]["rpc_urls"] == ["https://eth.example/[hidden]", "http://127.0.0.1:8545"]
    assert values["store"]["url"] == "postgresql://[hidden]@db/mail?password=[hidden]&host=/run"
    assert values["server"]["public_url"] == "https://gw.example"
    assert values["adapters"]["matrix"]["login"]["servers"][1]["name"] == "seen-1"


def test_the_address_of_redis_is_checked_and_its_password_hidden(config: Path) -> None:
    config.write_text(MINIMAL + "[store]\nredis_url = 'http://x'")
    assert any("store.redis_url" in each for each in faults(config))
    config.write_text(MINIMAL + "[store]\nredis_url = 'redis://user:canary@host/0'")
    assert "canary" not in json.dumps(shown(load_settings(config, {})))


def test_a_file_that_is_no_toml_says_so(config: Path) -> None:
    config.write_text("[server\n")
    assert "is not TOML" in faults(config)[0]


def test_an_explicit_file_wins_over_the_variable_and_the_folder(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(MINIMAL)
    assert find_config(other, {"DM3_GATEWAY_CONFIG": str(config)}) == other
    assert find_config(None, {"DM3_GATEWAY_CONFIG": str(config)}) == config


def test_a_missing_file_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dm3-gateway init"):
        find_config(tmp_path / "none.toml", {})


@pytest.mark.attack(38)
def test_senders_are_judged_by_what_is_final(config: Path) -> None:
    assert load_settings(config, {}).chain.decision_block == "finalized"


@pytest.mark.attack(39)
@pytest.mark.parametrize(
    ("urls", "quorum", "right"),
    [
        (["https://a.example"], 1, True),
        (["https://a.example"], 2, False),
        (["https://a.example", "https://b.example", "https://c.example"], 3, True),
        (["https://a.example", "https://b.example", "https://c.example"], 4, False),
        (["https://a.example", "https://a.example"], 2, False),
        (["https://a.example", "https://a.example/"], 2, False),
        (["https://a.example"], 0, False),
    ],
)
def test_a_quorum_is_of_different_servers(config: Path, urls: list[str], quorum: int, right: bool) -> None:
    config.write_text(MINIMAL.replace('["https://eth.example"]', f"{json.dumps(urls)}\nquorum = {quorum}"))
    if right:
        assert load_settings(config, {}).chain.quorum == quorum
    else:
        (line,) = faults(config)
        assert line.startswith(f"{config}: chain.quorum: ")


def test_a_quorum_of_servers_that_are_wrong_tells_of_the_servers_only(config: Path) -> None:
    config.write_text(MINIMAL.replace('["https://eth.example"]', '["eth.example"]\nquorum = 2'))
    assert all("chain.rpc_urls" in line for line in faults(config))


def test_stakes_in_the_file(config: Path) -> None:
    assert load_settings(config, {}).relay.stake.contract is None
    contract = "0x" + "12" * 20
    config.write_text(
        MINIMAL + f'[relay.stake]\ncontract = "{contract}"\nview = "depositOf(address)"\n'
        'report_url = "https://stake.example/canary"\n'
    )
    settings = load_settings(config, {})
    stake = settings.relay.stake
    assert (stake.contract, stake.view, stake.report_url) == (
        contract,
        "depositOf(address)",
        "https://stake.example/canary",
    )
    assert shown(settings)["relay"]["stake"]["report_url"] == "https://stake.example/[hidden]"


@pytest.mark.parametrize(
    "url", ["https://stake.example", "http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/"]
)
def test_reports_travel_safely_or_not_at_all(config: Path, url: str) -> None:
    config.write_text(MINIMAL + f'[relay.stake]\nreport_url = "{url}"\n')
    assert load_settings(config, {}).relay.stake.report_url == url


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('report_url = "http://stake.example"', "report_url: must be an https address"),
        ('report_url = "http://127.0.0.1.example"', "report_url: must be an https address"),
        ('report_url = "stake.example"', "report_url: must be a web address"),
        ('report_url = "https://stake.example/?key=5"', "report_url: must be a web address"),
        ('contract = "stake.eth"', "contract: "),
        ('view = "stakeOf(uint256)"', "view: "),
        ('views = "stakeOf(address)"', "views: is not a known key"),
    ],
)
def test_stakes_that_cannot_be(config: Path, line: str, reason: str) -> None:
    config.write_text(MINIMAL + f"[relay.stake]\n{line}\n")
    (found,) = faults(config)
    assert found.startswith(f"{config}: relay.stake.{reason}")


def test_the_settings_cannot_be_changed_after_the_start(config: Path) -> None:
    settings = load_settings(config, {})
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]


def test_every_setting_has_a_description() -> None:
    schema = Settings.model_json_schema()
    missing = [
        f"{section}.{key}"
        for section, table in schema["$defs"].items()
        for key, field in table["properties"].items()
        if "description" not in field
    ]
    assert missing == []
