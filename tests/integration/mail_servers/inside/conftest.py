"""The little internet of these tests: three domains, their name server, and a gateway that is one of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.email.adapter import EmailAdapter
from adapters.email.dkim.keys import DkimKey
from adapters.email.keys import FILES, make_keys
from adapters.email.settings import EmailSettings
from tests.integration.email.peers import Zone
from tests.support.house import running_house
from tests.support.mail.exim import Exim
from tests.support.mail.postfix import Postfix
from tests.support.natives import WITHOUT_RATES, Natives

GATEWAY = "gw.example"
FRONT = "front.example"
collect_ignore_glob = [] if os.environ.get("DM3_INSIDE") == "mail" else ["test_*.py"]


@dataclass(kw_only=True)
class MailWorld(Natives):
    """A gateway and the servers of two other domains."""

    adapter: EmailAdapter
    postfix: Postfix
    exim: Exim
    zone: Zone


def documented(begin: str, end: str) -> str:
    """What the operator is told to write for a Postfix in front, with the domain of these tests."""
    section = (Path(__file__).parents[4] / "deploy/README.md").read_text().partition("## Mail behind a Postfix\n")[2]
    return section.partition(begin)[2].partition(end)[0].replace(GATEWAY, FRONT)


def records(exim: Exim, keys: tuple[DkimKey, ...]) -> dict[str, list[str]]:
    """What everybody's DNS says; every server has one address."""
    texts = dict([exim.dkim_record, *((each.record_name(GATEWAY), each.record()) for each in keys)])
    found = {
        f"{name} TXT": [" ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))]
        for name, text in texts.items()
    }
    # The gateway's other domain has a Postfix in front.
    found[f"{FRONT} MX"] = [f"10 mx.{Postfix.domain}."]
    for domain, address in ((GATEWAY, "127.0.0.2"), (Postfix.domain, Postfix.address), (Exim.domain, Exim.address)):
        found[f"{domain} MX"] = [f"10 mx.{domain}."]
        found[f"{domain} TXT"] = ['"v=spf1 mx -all"']
        found[f"mx.{domain} A"] = [address]
        # Bounces have no other domain that could be asked (RFC 7208, section 10.1.3).
        found[f"mx.{domain} TXT"] = ['"v=spf1 a -all"']
        found[f"_dmarc.{domain} TXT"] = ['"v=DMARC1; p=reject"']
        found[f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa PTR"] = [f"mx.{domain}."]
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mail_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MailWorld]:
    folder = tmp_path_factory.mktemp("house")
    loop = asyncio.get_running_loop()
    lines = documented("```\n", "```").splitlines()
    async with Postfix(dict(line.split(" = ", 1) for line in lines)) as postfix, Exim() as exim:
        keys = make_keys(folder, "dm3")
        zone = Zone(records(exim, keys))
        names, _ = await loop.create_datagram_endpoint(lambda: zone, local_addr=("127.0.0.1", 53))
        adapter = EmailAdapter(EmailSettings.model_validate(settings(folder)))
        async with running_house(folder, adapters={adapter.name: adapter}, overrides=WITHOUT_RATES) as house:
            yield MailWorld(house=house, adapter=adapter, postfix=postfix, exim=exim, zone=zone)
        names.close()


def settings(folder: Path) -> dict[str, Any]:
    """Of the gateway's adapter: a mail server like any other."""
    return cast(
        "dict[str, Any]",
        {
            "domain": GATEWAY,
            "hostname": f"mx.{GATEWAY}",
            "smtp_host": "127.0.0.2",
            "smtp_port": 25,
            "allow_private_destinations": True,
            # The others are on the loopback too, and no servers of ours.
            "allowed_networks": ("192.0.2.0/24",),
            "max_connections_per_address": 100,
            "dkim_key_files": [folder / name for name in FILES],
        },
    )
