"""The e-mail part of `doctor`: a domain where all is well, then each thing missing and each thing wrong.

Over real DNS packets, HTTPS and SMTP; loopback is the public address of the mail server.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapters.email.adapter import EmailAdapter
from adapters.email.examination import ports, subject
from adapters.email.examination.ports import Port, could_listen
from adapters.email.examination.subject import Subject, policy_text, sts_lines
from adapters.email.keys import FILES, make_keys
from adapters.email.mta_sts.policy import parse_policy
from adapters.email.settings import EmailSettings
from gateway.operations.installation import Answers, create_installation
from gateway.sdk import Examines, Finding, State
from gateway.sdk.testing import MemoryContext
from tests.integration.email.peers import Zone, dns_server
from tests.integration.email.test_mta_sts import PolicyServer, certificate, trusted, web
from tests.integration.email.test_two_gateways import free_port
from tests.support.examining import be_patient

__all__ = ["trusted"]

PUBLIC_URL = "https://gw.example"
CHECKS = [
    *("mx", "address", "ptr", "spf", "spf.helo", "dkim.dm3-ed25519", "dkim.dm3-rsa", "dmarc"),
    *("mta-sts", "tls-rpt", "certificate", "port.mx", "port.submission"),
]
PTR = "1.0.0.127.in-addr.arpa PTR"
STS = "_mta-sts.gw.example TXT"
TLS = "_smtp._tls.gw.example TXT"
ED25519 = "dm3-ed25519._domainkey.gw.example TXT"
RSA = "dm3-rsa._domainkey.gw.example TXT"


def policy(mode: str = "enforce", mx: str = "mx.gw.example") -> str:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n"


@dataclass
class World:
    """A mail domain."""

    settings: dict[str, Any]
    zone: Zone
    policies: PolicyServer
    folder: Path

    def change(self, rows: Mapping[str, Sequence[str] | None]) -> None:
        """Put other records into the zone; None takes them out."""
        kept = {name: values for name, values in (dict(self.zone.records) | dict(rows)).items() if values is not None}
        self.zone.records = kept

    async def examine(self, **changes: Any) -> dict[str, Finding]:
        """The findings by what they are about."""
        settings = EmailSettings.model_validate(self.settings | changes)
        found = await EmailAdapter.examine(settings, PUBLIC_URL)
        return {finding.check: finding for finding in found}


@pytest.fixture
async def world(
    trusted: trustme.CA, tmp_path: Path, users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Where everything is as it should be; the adapter is running."""
    be_patient(monkeypatch)
    issued = trusted.issue_cert("mx.gw.example")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    keys = make_keys(tmp_path, "dm3")
    zone = Zone(
        {
            "gw.example MX": ["10 mx.gw.example."],
            "mx.gw.example A": ["127.0.0.1"],
            PTR: ["mx.gw.example."],
            "gw.example TXT": ['"v=spf1 mx -all"', '"something else"'],
            "mx.gw.example TXT": ['"v=spf1 a -all"'],
            **{
                f"{key.record_name('gw.example')} TXT": [key.zone_line("gw.example").split(" IN TXT ")[1]]
                for key in keys
            },
            "_dmarc.gw.example TXT": ['"v=DMARC1; p=reject"'],
            STS: ['"v=STSv1; id=1"'],
            "mta-sts.gw.example A": ["127.0.0.1"],
            TLS: ['"v=TLSRPTv1; rua=mailto:postmaster@gw.example"'],
        }
    )
    policies = PolicyServer(policy())
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(web(certificate(trusted, "mta-sts.gw.example"), policies))
        values = {
            "domain": "gw.example",
            "hostname": "mx.gw.example",
            "smtp_host": "127.0.0.1",
            "smtp_port": free_port("127.0.0.1"),
            "submission_port": free_port("127.0.0.1"),
            "submission_users_file": users_file,
            "tls_cert_file": tmp_path / "cert.pem",
            "tls_key_file": tmp_path / "key.pem",
            "dkim_key_files": [tmp_path / name for name in FILES],
            "dns_servers": [await stack.enter_async_context(dns_server(zone))],
            "mta_sts_port": server.port,
            "allow_private_destinations": True,
            "operator": "alice.eth",
        }
        adapter = EmailAdapter(EmailSettings.model_validate(values))
        await adapter.open(MemoryContext(network=adapter.name))
        stack.push_async_callback(adapter.close)
        yield World(values, zone, policies, tmp_path)


async def test_all_is_well(world: World) -> None:
    assert isinstance(EmailAdapter, Examines)
    before = time.monotonic()
    found = await world.examine()
    assert time.monotonic() - before < 10
    assert list(found) == CHECKS
    assert {check: (each.state, each.fix) for check, each in found.items()} == dict.fromkeys(CHECKS, (State.OK, ""))


async def test_every_record_is_printed_to_be_copied_and_is_what_the_checks_want(world: World) -> None:
    """The lines of a domain that has nothing, put into the zone, make all of it right."""
    world.zone.records = {"mx.gw.example A": ["127.0.0.1"], "mta-sts.gw.example A": ["127.0.0.1"]}
    lines = [line for finding in (await world.examine()).values() for line in finding.lines]
    rows: dict[str, Sequence[str]] = dict(world.zone.records)
    for line in lines:
        name, separator, rest = line.partition(". IN ")
        if separator and not rest.startswith("CNAME"):
            kind, _, value = rest.partition(" ")
            rows[f"{name} {kind}"] = [value]
    world.zone.records = rows
    assert {row.partition(" ")[2] for row in rows} == {"MX", "A", "PTR", "TXT"}
    found = await world.examine()
    assert {check: each.state for check, each in found.items()} == dict.fromkeys(CHECKS, State.OK)
    text = "\n".join(line for line in lines if ". IN " not in line)
    assert parse_policy(text).mx == ("mx.gw.example",)


NO_SPF = ['"something else"']
OTHER_KEY = '"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'

CASES: list[tuple[str, Mapping[str, Sequence[str] | None], State, str]] = [
    ("mx", {"gw.example MX": None}, State.FAIL, "has no MX record"),
    ("mx", {"gw.example MX": ["0 ."]}, State.FAIL, "takes no mail"),
    ("mx", {"gw.example MX": ["10 else.example."]}, State.FAIL, "and not by mx.gw.example"),
    ("mx", {"gw.example MX": ["10 MX.gw.example.", "20 b.example."]}, State.WARN, "and by b.example"),
    ("address", {"mx.gw.example A": None}, State.FAIL, "has no address"),
    ("address", {"mx.gw.example CNAME": ["a.example."]}, State.FAIL, "is an alias of a.example"),
    ("ptr", {PTR: None}, State.FAIL, "has no PTR record"),
    ("ptr", {PTR: ["host-1.provider.example."]}, State.WARN, "leads to host-1.provider.example"),
    ("ptr", {"mx.gw.example A": None}, State.FAIL, "could lead back"),
    ("spf", {"gw.example TXT": None}, State.FAIL, "has no SPF record"),
    ("spf", {"gw.example TXT": NO_SPF}, State.FAIL, "has no SPF record"),
    ("spf", {"gw.example TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}, State.FAIL, "does not let 127.0.0.1 send"),
    ("spf", {"gw.example TXT": ['"v=spf1 mx -all"', '"v=spf1 a -all"']}, State.FAIL, "more than one"),
    ("spf", {"gw.example TXT": ['"v=spf1 mx nonsense -all"']}, State.FAIL, "not valid"),
    ("spf", {"gw.example TXT": ['"v=spf1 mx +all"']}, State.FAIL, "lets everybody send"),
    ("spf", {"gw.example TXT": ['"v=spf1 mx ?all"']}, State.WARN, "says nothing of other senders"),
    ("spf", {"gw.example TXT": ['"v=spf1 mx"']}, State.WARN, "says nothing of other senders"),
    ("spf.helo", {"mx.gw.example TXT": None}, State.WARN, "does not pass for 127.0.0.1"),
    ("dkim.dm3-rsa", {RSA: None}, State.FAIL, "has no TXT record"),
    ("dkim.dm3-rsa", {RSA: [OTHER_KEY]}, State.FAIL, "holds another key"),
    ("dkim.dm3-ed25519", {ED25519: None}, State.FAIL, "has no TXT record"),
    ("dkim.dm3-ed25519", {ED25519: [OTHER_KEY]}, State.FAIL, "holds another key"),
    ("dkim.dm3-ed25519", {ED25519: ['"v=DKIM1; p="']}, State.FAIL, "revoked"),
    ("dmarc", {"_dmarc.gw.example TXT": None}, State.FAIL, "has no record"),
    ("dmarc", {"_dmarc.gw.example TXT": ['"v=DMARC1; p=nonsense"']}, State.FAIL, "no valid record"),
    ("dmarc", {"_dmarc.gw.example TXT": ['"v=DMARC1; p=reject"', '"v=DMARC1; p=none"']}, State.FAIL, "2 records"),
    ("dmarc", {"_dmarc.gw.example TXT": ['"v=DMARC1; p=none"']}, State.WARN, "p=none"),
    ("dmarc", {"_dmarc.gw.example TXT": ['"v=DMARC1; p=quarantine"']}, State.OK, "p=quarantine"),
    ("mta-sts", {STS: None}, State.WARN, "no MTA-STS record"),
    ("mta-sts", {STS: ['"v=STSv1; id="']}, State.FAIL, "not valid"),
    ("mta-sts", {"mta-sts.gw.example A": None}, State.FAIL, "no policy: sts-policy-fetch-error"),
    ("tls-rpt", {TLS: None}, State.WARN, "has no record"),
    ("tls-rpt", {TLS: ['"v=TLSRPTv1; rua=nobody"']}, State.FAIL, "not valid"),
]


@pytest.mark.parametrize(("check", "rows", "state", "told"), CASES, ids=lambda value: str(value)[:60])
async def test_records(
    world: World, check: str, rows: Mapping[str, Sequence[str] | None], state: State, told: str
) -> None:
    world.change(rows)
    finding = (await world.examine())[check]
    assert finding.state is state
    assert told in finding.found
    assert bool(finding.fix) is (state is not State.OK)


@pytest.mark.parametrize(
    ("text", "state", "told"),
    [
        (policy(mx="else.example"), State.FAIL, "and not mx.gw.example"),
        (policy(mode="testing"), State.WARN, "mode testing"),
        ("nonsense", State.FAIL, "sts-policy-invalid"),
        (policy(mx="*.gw.example"), State.OK, "use TLS"),
    ],
)
async def test_policies(world: World, text: str, state: State, told: str) -> None:
    world.policies.body = text
    finding = (await world.examine())["mta-sts"]
    assert (finding.state, told in finding.found) == (state, True), finding


async def test_a_policy_that_demands_tls_from_a_server_without(world: World) -> None:
    found = await world.examine(tls_cert_file=None, tls_key_file=None, submission_port=None)
    assert found["mta-sts"].state is State.FAIL
    assert found["certificate"].state is State.WARN


# --- settings, certificate, ports -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "check", "state", "told"),
    [
        ({"dkim_key_files": ()}, "dkim", State.FAIL, "not signed"),
        ({"dkim_key_files": ("missing.pem",)}, "dkim", State.FAIL, "cannot be read"),
        ({"operator": None}, "tls-rpt", State.WARN, "nobody reads"),
        ({"tls_key_file": "missing.pem"}, "certificate", State.FAIL, "cannot be read"),
        ({"hostname": "other.gw.example"}, "certificate", State.FAIL, "not for other.gw.example"),
        ({"hostname": "other.gw.example"}, "port.mx", State.FAIL, "greets with: 220 mx.gw.example"),
        ({"smtp_port": 0}, "port.mx", State.WARN, "any free port"),
        ({"allow_private_destinations": False}, "address", State.FAIL, "private address 127.0.0.1"),
        ({"relay_host": "127.0.0.1:25"}, "ptr", State.OK, "goes out through 127.0.0.1:25"),
        ({"relay_host": "8.8.8.8:25"}, "spf", State.FAIL, "does not let"),
        ({"lmtp_port": 1}, "port.lmtp", State.WARN, "nothing listens"),
    ],
)
async def test_settings(world: World, settings: dict[str, Any], check: str, state: State, told: str) -> None:
    finding = (await world.examine(**settings))[check]
    assert (finding.state, told in finding.found) == (state, True), finding


async def test_without_an_rsa_key(world: World) -> None:
    found = await world.examine(dkim_key_files=(world.folder / FILES[0],))
    assert found["dkim.dm3-ed25519"].state is State.OK
    assert found["dkim"].state is State.WARN


@pytest.mark.parametrize(
    ("days", "state", "told"),
    [(-1, State.FAIL, "was valid until"), (5, State.WARN, "only"), (90, State.OK, "valid until")],
)
async def test_a_certificate_has_its_time(
    world: World, trusted: trustme.CA, days: int, state: State, told: str
) -> None:
    issued = trusted.issue_cert("mx.gw.example", not_after=datetime.now(UTC) + timedelta(days=days))
    key, cert = world.folder / "other-key.pem", world.folder / "other-cert.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(cert)
    finding = (await world.examine(tls_cert_file=cert, tls_key_file=key))["certificate"]
    assert (finding.state, told in finding.found) == (state, True), finding
    mixed = (await world.examine(tls_cert_file=cert))["certificate"]
    assert (mixed.state, "not that of the certificate" in mixed.found) == (State.FAIL, True)


async def test_a_certificate_that_nobody_trusts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    found = await world.examine()
    assert found["certificate"].state is State.OK, "its names and its time are right"
    assert found["port.mx"].state is State.WARN
    assert "does not hold" in found["port.mx"].found


async def test_somebody_else_s_port(world: World) -> None:
    async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-\x1b[31mother\r\n")
        writer.close()

    other = await asyncio.start_server(chat, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        finding = (await world.examine(smtp_port=port))["port.mx"]
    assert finding.state is State.FAIL
    assert "\x1b" not in finding.found


async def test_a_port_where_nobody_listens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_port("127.0.0.1")
    finding = (await world.examine(smtp_port=free))["port.mx"]
    assert (finding.state, "nothing listens" in finding.found) == (State.WARN, True)
    monkeypatch.setattr(ports, "STEP_SECONDS", 2.0)
    elsewhere = (await world.examine(smtp_host="192.0.2.1", smtp_port=free))["port.mx"]
    assert elsewhere.state is State.FAIL


def everybody_may_listen_anywhere() -> bool:
    """As in some containers."""
    file = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return not file.exists() or int(file.read_text()) <= 1


@pytest.mark.skipif(everybody_may_listen_anywhere(), reason="here everybody may open any port")
def test_a_port_that_this_user_may_not_open() -> None:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        finding = could_listen(Port("port.mx", "127.0.0.1", 1), "port 1 of 127.0.0.1")
    finally:
        if root:
            os.seteuid(0)
    assert finding.state is State.FAIL
    assert "may not listen" in finding.found
    assert "CAP_NET_BIND_SERVICE" in finding.fix
    # Without it the capability is that of a user namespace which has no ports of the host.
    assert "PrivateUsers=no" in finding.fix


async def test_a_dns_that_fails_or_is_silent_ends_the_checks_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.zone.failing = frozenset({"gw.example"})
    found = await world.examine()
    assert (found["mx"].state, found["spf"].state) == (State.FAIL, State.FAIL)
    assert "does not answer" in found["mx"].found
    assert found["dmarc"].state is State.OK
    monkeypatch.setattr(subject, "LOOKUP_SECONDS", 3.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        before = time.monotonic()
        found = await world.examine(dns_servers=(f"127.0.0.1:{silent.getsockname()[1]}",))
        assert time.monotonic() - before < 10
    assert {each.state for check, each in found.items() if not check.startswith(("port", "certificate"))} == {
        State.FAIL
    }


def test_the_id_of_a_policy_changes_with_it() -> None:
    one = Subject(EmailSettings(domain="gw.example"), PUBLIC_URL, None)  # type: ignore[arg-type]
    other = replace(one, settings=EmailSettings(domain="gw.example", hostname="mx.gw.example"))
    assert sts_lines(one, "testing")[0] == sts_lines(one, "testing")[0]
    assert len({sts_lines(one, "testing")[0], sts_lines(one, "enforce")[0], sts_lines(other, "enforce")[0]}) == 3
    assert parse_policy("\n".join(policy_text(one, "enforce"))).covers("gw.example")


# --- the command ------------------------------------------------------------------------------------------------


async def test_the_command(world: World) -> None:
    """As an operator runs it, beside a running gateway."""
    table = {
        name: [str(each) for each in value]
        if isinstance(value, list)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in world.settings.items()
    }
    answers = Answers(parent="gw.eth", public_url=PUBLIC_URL, rpc_url="http://127.0.0.1:1", adapters={"email": table})
    config = create_installation(world.folder / "home", answers)

    async def doctor(*arguments: str) -> tuple[int, str]:
        command = (sys.executable, "-m", "tests.support.patient_doctor", "doctor", "--config", str(config), *arguments)
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=dict(os.environ))
        return done.returncode, done.stdout + done.stderr

    code, text = await doctor("--only", "email")
    assert code == 0, text
    assert "ok    mx: gw.example is served by mx.gw.example" in text
    assert '\n_dmarc.gw.example. IN TXT "v=DMARC1; p=reject; rua=mailto:postmaster@gw.example"\n' in text
    world.change({"gw.example MX": None, TLS: None})
    code, text = await doctor("--json")
    assert code == 1, text
    told = json.loads(text)
    assert told["state"] == "fail"
    states = {each["check"]: each["state"] for each in told["groups"]["email"]}
    assert (states["mx"], states["tls-rpt"], states["dmarc"]) == ("fail", "warn", "ok")
    code, text = await doctor("--only", "telex")
    assert code == 1
    assert "email" in text.partition("there is: ")[2]
