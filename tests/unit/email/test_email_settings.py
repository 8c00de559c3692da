"""The table [adapters.email]: defaults that are safe, values that are refused, and a README that names every key."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.email.authentication.decision import Senders, Unverified, WithoutDmarc
from adapters.email.endpoints import Endpoint, parse_endpoint
from adapters.email.settings import EmailSettings

README = (Path(__file__).parents[3] / "adapters/email/README.md").read_text(encoding="utf-8")
TLS = {"tls_cert_file": "c.pem", "tls_key_file": "k.pem"}


def test_by_default_nobody_may_send_without_proof() -> None:
    settings = EmailSettings(domain="gw.example")
    assert (settings.senders, settings.unverified) == (Senders.AUTHENTICATED, Unverified.REJECT)
    assert settings.without_dmarc is WithoutDmarc.ACCEPT
    assert settings.trusted_servers == settings.trusted_forwarders == ()
    assert settings.allowed_senders == ()
    assert settings.allowed_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.submission_port is None
    assert settings.operator is None
    assert not settings.allow_private_destinations


def test_spellings_become_one() -> None:
    settings = EmailSettings.model_validate(
        {
            "domain": "GW.Example",
            "allowed_senders": ["Bob@Example.NET", "example.org", "@Bücher.example"],
            "operator": "Operator.eth",
        }
    )
    assert settings.domain == settings.host_name == "gw.example"
    assert settings.allowed_senders == ("bob@example.net", "example.org", "xn--bcher-kva.example")
    assert settings.operator == "operator.eth"


def test_files_are_beside_the_configuration() -> None:
    values = {"domain": "gw.example", "return_path_key_file": "rp.key", **TLS}
    settings = EmailSettings.model_validate(values, context={"base": Path("/etc/gateway")})
    assert settings.return_path_key_file == Path("/etc/gateway/rp.key")
    assert settings.tls_cert_file == Path("/etc/gateway/c.pem")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"domain": ""},
        {"domain": "not a domain"},
        {"domain": "[127.0.0.1]"},
        {"hostname": "x y"},
        {"unknown": 1},
        {"smtp_port": 70_000},
        {"smtp_port": -1},
        {"allowed_senders": ["not an address @"]},
        {"allowed_senders": [""]},
        {"senders": "everybody"},
        {"unverified": "accept"},
        {"without_dmarc": True},
        {"trusted_servers": ["a server"]},
        {"trusted_forwarders": [""]},
        {"allowed_networks": ["300.0.0.0/8"]},
        {"allowed_networks": ["10.0.0.1/8"]},
        {"operator": "..eth"},
        {"size_limit": 0},
        {"size_limit": 10**9},
        {"max_connections": 0},
        {"command_timeout": 0},
        {"relay_host": "relay.example"},
        {"relay_host": "relay.example:0"},
        {"relay_host": "relay example:25"},
        {"dns_servers": ["dns.example"]},
        {"dns_servers": ["127.0.0.1:99999"]},
        {"tls_cert_file": "c.pem"},
        {"tls_key_file": "k.pem"},
        {"submission_port": 587},
        {"submission_port": 587, **TLS},
        {"submission_port": 587, "submission_users_file": "users"},
        {"relay_user": "bob", "relay_host": "relay.example:587"},
        {"relay_user": "bob", "relay_password_file": "p"},
    ],
    ids=str,
)
def test_values_that_are_refused(values: dict[str, object]) -> None:
    complete = values if not values or "domain" in values else {"domain": "gw.example", **values}
    with pytest.raises(ValidationError):
        EmailSettings.model_validate(complete)


def test_a_complete_table() -> None:
    settings = EmailSettings.model_validate(
        {
            "domain": "gw.example",
            "hostname": "mx.gw.example",
            "submission_port": 587,
            "submission_users_file": "users",
            "relay_host": "[2001:db8::1]:587",
            "relay_user": "bob",
            "relay_password_file": "p",
            "dns_servers": ["127.0.0.1", "[::1]:5353"],
            **TLS,
        }
    )
    assert settings.host_name == "mx.gw.example"
    assert settings.relay == Endpoint("2001:db8::1", 587)


@pytest.mark.parametrize("key", EmailSettings.model_fields)
def test_every_key_is_documented(key: str) -> None:
    assert EmailSettings.model_fields[key].description
    assert re.search(rf"^\| .*`{key}`", README, re.MULTILINE), f"{key} is missing in adapters/email/README.md"


def test_the_readme_documents_no_key_that_is_gone() -> None:
    table = README.partition("## Settings")[2].partition("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert keys == set(EmailSettings.model_fields)


def test_the_readme_gives_the_defaults() -> None:
    for key in ("smtp_port", "size_limit", "max_connections", "max_recipients", "command_timeout", "data_timeout"):
        default = EmailSettings.model_fields[key].default
        assert f"| `{key}` | `{default}` |" in README


def test_the_readme_says_who_may_send() -> None:
    assert "log in for submission" in README
    for choice in (*Senders, *Unverified, *WithoutDmarc):
        assert re.search(rf'[`"]{choice}[`"]', README), f"{choice} is missing in adapters/email/README.md"


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("relay.example:25", Endpoint("relay.example", 25)),
        ("127.0.0.1", Endpoint("127.0.0.1", 53)),
        ("[::1]", Endpoint("::1", 53)),
        ("[::1]:25", Endpoint("::1", 25)),
    ],
)
def test_endpoints(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text, default_port=53) == endpoint
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize("text", ["", ":25", "a:b", "a:0", "a:65536", "::1", "[::1", "a b:25", "a:25:25", "a/b:25"])
def test_no_endpoints(text: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        parse_endpoint(text, default_port=53)
