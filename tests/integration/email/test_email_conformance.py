"""The conformance kit of the SDK against the adapter, over real SMTP sockets and real DNS packets both ways."""

from __future__ import annotations

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.sdk.testing import MemoryContext, check_conformance
from tests.integration.email.peers import Mailbox, MailUser, Zone, dns_server, mail_server

RECORDS = {"example.net MX": ["10 mx.example.net."], "mx.example.net A": ["127.0.0.1"]}


async def test_straight_to_the_mail_server_of_the_recipient() -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox) as port, dns_server(Zone(RECORDS)) as dns:
        settings = EmailSettings(
            domain="gw.example",
            smtp_host="127.0.0.1",
            smtp_port=0,
            allowed_senders=("example.net",),
            dns_servers=(dns,),
            mx_port=port,
            allow_private_destinations=True,
        )
        adapter = EmailAdapter(settings)
        ctx = MemoryContext(network=adapter.name)
        await check_conformance(adapter, ctx, MailUser(adapter, mailbox))


async def test_through_a_relay_host() -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox) as port:
        settings = EmailSettings(
            domain="gw.example",
            smtp_host="127.0.0.1",
            smtp_port=0,
            allowed_senders=("bob@example.net",),
            relay_host=f"127.0.0.1:{port}",
        )
        adapter = EmailAdapter(settings)
        ctx = MemoryContext(network=adapter.name)
        await check_conformance(adapter, ctx, MailUser(adapter, mailbox))
