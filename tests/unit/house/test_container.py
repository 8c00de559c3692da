"""What is written for containers and systemd: hardened, pinned, and with settings that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from gateway.operations.installation import Answers, create_installation
from gateway.settings import ENV_PREFIX, load_settings
from tests.support.require import require

DEPLOY = Path(__file__).parents[3] / "deploy"
CONTAINERFILE = (DEPLOY / "container" / "Containerfile").read_text()
COMPOSE = (DEPLOY / "container" / "compose.yaml").read_text()
UNIT = DEPLOY / "systemd" / "dm3-gateway.service"
SYSTEMD_README = (DEPLOY / "systemd" / "README.md").read_text()
EXPOSURE = 2.0


def instructions() -> list[tuple[str, str]]:
    """Of the Containerfile, in order, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in CONTAINERFILE.splitlines() if line[:1] != "#"))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(number for number, (name, _) in enumerate(found) if name == "FROM") :]


def services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(COMPOSE)["services"])


def test_the_image_is_made_in_two_stages_and_runs_as_nobody_in_particular() -> None:
    assert sum(name == "FROM" for name, _ in instructions()) == 2
    users = [value for name, value in last_stage() if name == "USER"]
    assert users == ["10001:10001"]
    assert any(name == "HEALTHCHECK" for name, _ in last_stage())
    assert not any("pip install" in value for name, value in last_stage() if name == "RUN")


def test_everything_is_installed_from_pins_with_hashes() -> None:
    installs = re.findall(
        r"\S*pip (?:install|wheel) [^&\n]*", "\n".join(value for name, value in instructions() if name == "RUN")
    )
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-index --no-deps" in each for each in installs)
    assert "index-url" not in CONTAINERFILE


def test_nothing_but_what_is_named_gets_into_the_image() -> None:
    copied = [value.split()[:-1] for name, value in instructions() if name == "COPY" and "--from" not in value]
    wanted = {path for paths in copied for path in paths}
    allowed = (DEPLOY / "container" / "Containerfile.dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert wanted == {line[1:] for line in allowed if line.startswith("!")}
    assert all((DEPLOY.parent / path).exists() for path in wanted)
    assert not any(name == "ADD" for name, _ in instructions())


def test_what_builds_the_wheel_is_what_the_tests_use() -> None:
    built = (DEPLOY / "container" / "build.lock").read_text()
    tests = (DEPLOY.parent / "tests" / "requirements.lock").read_text()
    here, _, setuptools = built.partition("setuptools==")
    assert all(line in tests for line in here.splitlines() if not line.startswith("#"))
    assert "--hash=sha256:" in setuptools
    assert "hatchling==" in built


@pytest.mark.parametrize("name", ["postgres", "migrate", "gateway", "caddy"])
def test_a_service_of_compose_is_hardened(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "network_mode", "pid", "devices"}
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    image = service["image"]
    assert image == "dm3-gateway" or re.fullmatch(r"[a-z]+:\d[\w.-]*", image), image


def test_the_database_is_for_the_gateway_only() -> None:
    assert "ports" not in services()["postgres"]
    assert services()["postgres"]["networks"] == ["inside"]
    assert yaml.safe_load(COMPOSE)["networks"]["inside"] == {"internal": True}
    assert all(each.startswith("127.0.0.1:") for each in services()["gateway"]["ports"])


def test_fixed_addresses_are_given_to_nobody_else() -> None:
    """A service without an address of its own gets the next free one of the range."""
    document = yaml.safe_load(COMPOSE)
    fixed = 0
    for service in document["services"].values():
        of_networks = service["networks"] if isinstance(service["networks"], dict) else {}
        for name, wanted in of_networks.items():
            (pool,) = document["networks"][name]["ipam"]["config"]
            address, subnet = IPv4Address(wanted["ipv4_address"]), IPv4Network(pool["subnet"])
            dynamic = IPv4Network(pool.get("ip_range", pool["subnet"]))
            assert dynamic.subnet_of(subnet), name
            assert address in subnet, name
            assert address not in dynamic, name
            # The network itself, its gateway, and the broadcast.
            assert address not in (subnet[0], subnet[1], subnet[-1]), name
            fixed += 1
    assert fixed == 1


def test_no_secret_is_written_down() -> None:
    assert not re.search(r"PASSWORD: \"?(?!\$\{)\w", COMPOSE)


def test_the_settings_of_compose_are_settings(tmp_path: Path) -> None:
    """As the image and compose give them to a node, over what `init` wrote."""
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="https://eth.example")
    image = dict(re.findall(rf"({ENV_PREFIX}\w+)=(\S+)", CONTAINERFILE))
    given = {**image, **services()["gateway"]["environment"]}
    environ = {name: re.sub(r"\$\{[^}]*\}", "geheim", value) for name, value in given.items()}
    settings = load_settings(create_installation(tmp_path / "new", answers), environ)
    assert settings.store.url == "postgresql://gateway:geheim@postgres/gateway?sslmode=disable"
    caddy = services()["caddy"]["networks"]["front"]["ipv4_address"]
    assert settings.server.trusted_proxies == (caddy,)
    assert (settings.server.host, f"{settings.server.port}") == ("0.0.0.0", "8080")
    assert f"127.0.0.1:{settings.server.port}/healthz" in CONTAINERFILE


def test_the_proxy_takes_what_the_relay_takes(tmp_path: Path) -> None:
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="https://eth.example")
    limit = load_settings(create_installation(tmp_path / "new", answers), {}).relay.size_limit
    found = re.search(r"max_size (\d+)MB", (DEPLOY / "container" / "Caddyfile").read_text())
    assert found is not None
    assert int(found[1]) * 10**6 >= limit + limit // 4 + 65_536


def directives(unit: str) -> dict[str, str]:
    """The settings of a unit; of one that is set twice the last counts."""
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and line[:1] not in "#;")


def at_port_25() -> str:
    """The unit as its comment says for mail: each line that waits there in place of the one of the same name."""
    unit = UNIT.read_text()
    for setting, value in re.findall(r"^#(\w+)=(.*)$", unit, flags=re.MULTILINE):
        unit, count = re.subn(rf"^{setting}=.*$", f"{setting}={value}", unit, flags=re.MULTILINE)
        assert count == 1, setting
    return unit


def exposure(unit: Path) -> str:
    """Of 10, by systemd's own measure."""
    program = shutil.which("systemd-analyze")
    require(program, "systemd-analyze is not installed (apt install systemd)")
    assert program is not None
    done = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, timeout=60
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= EXPOSURE
    return found[1]


def test_the_unit_exposes_little() -> None:
    assert f"gives it {exposure(UNIT)}," in SYSTEMD_README


def test_the_unit_with_a_port_for_mail_exposes_little(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(at_port_25())
    assert f"The unit then gets {exposure(unit)}." in SYSTEMD_README


def test_a_port_for_mail_is_one_of_the_host() -> None:
    """In a user namespace of its own a service has the capability for nothing that it listens on (systemd.exec(5))."""
    before, after = directives(UNIT.read_text()), directives(at_port_25())
    assert {name for name in after if after[name] != before[name]} == {
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "PrivateUsers",
    }
    assert after["CapabilityBoundingSet"] == after["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    assert (before["PrivateUsers"], after["PrivateUsers"]) == ("yes", "no")


def test_the_unit_lets_workers_limit_themselves() -> None:
    """setrlimit is among @resources, and the workers that read mail are under limits."""
    assert "~@privileged" in UNIT.read_text()
    assert "~@privileged @resources" not in UNIT.read_text()
