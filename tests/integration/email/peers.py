"""Peers of the adapter in the tests' own event loop: a foreign mail server, a DNS server, a mail user."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import MappingProxyType
from typing import cast

import aiosmtplib
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.email.adapter import EmailAdapter
from gateway.sdk import CanonicalId, EnsName, NativeId


@dataclass
class Mailbox:
    """What a foreign mail server accepted, and how it answers."""

    envelopes: list[Envelope] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Replies instead of 250, by command: MAIL, RCPT, DATA."""

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.get("DATA", "250 queued")
        if answer.startswith("250"):
            self.envelopes.append(envelope)
            self.over_tls.append(session.ssl is not None)
        return answer

    @property
    def mails(self) -> list[EmailMessage]:
        """The accepted mails, parsed."""
        return [_parsed(envelope) for envelope in self.envelopes]


def _parsed(envelope: Envelope) -> EmailMessage:
    content = envelope.content
    assert isinstance(content, bytes)
    return message_from_bytes(content, policy=policy.default)


@asynccontextmanager
async def mail_server(
    mailbox: Mailbox, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, utf8: bool = False
) -> AsyncIterator[int]:
    """A mail server of somebody else; yields its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, loop=loop, tls_context=tls, hostname="mx.example.net", enable_SMTPUTF8=utf8), host, port
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass
class Zone(asyncio.DatagramProtocol):
    """A DNS server: rows of ``name type`` with their values, and names that fail.

    What is larger than the asker takes in a datagram comes over TCP alone (RFC 7766).
    """

    records: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    """``{"example.net MX": ["10 mx.example.net."]}``; a name that has no row at all does not exist."""
    failing: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)
    """Over TCP."""
    serves_tcp: bool = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(_asked(query))
        response = self._response(query)
        if len(response.to_wire(max_size=65_535)) > max(512, query.payload):
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA | dns.flags.TC
        self._transport.sendto(response.to_wire(), addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with one question."""
        try:
            query = dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
            self.asked_again.append(_asked(query))
            wire = self._response(query).to_wire(max_size=65_535)
            if self.serves_tcp:
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _response(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        name, kind = _asked(query).split(" ")
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        values = self.records.get(f"{name} {kind}")
        if alias := self.records.get(f"{name} CNAME"):
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", *alias))
            target = dns.name.from_text(alias[0])
            if found := self.records.get(f"{alias[0].removesuffix('.')} {kind}"):
                response.answer.append(dns.rrset.from_text(target, 60, "IN", kind, *found))
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif values:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
        elif not any(row.startswith(f"{name} ") for row in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


def _asked(query: dns.message.Message) -> str:
    question = query.question[0]
    return f"{question.name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(question.rdtype)}"


@asynccontextmanager
async def dns_server(zone: Zone) -> AsyncIterator[str]:
    """Serve a zone; yields ``address:port``."""
    stream, transport = await _same_port(zone)
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()
        stream.close()


async def _same_port(zone: Zone) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """Streams and datagrams on one free port; somebody else may have the port of one kind."""
    loop = asyncio.get_running_loop()
    while True:
        stream = await asyncio.start_server(zone.serve_stream, "127.0.0.1", 0)
        address = stream.sockets[0].getsockname()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: zone, local_addr=address)
        except OSError:
            stream.close()
        else:
            return stream, transport


@dataclass
class MailUser:
    """Somebody with a mail program: the conformance kit's peer."""

    adapter: EmailAdapter
    mailbox: Mailbox
    address: str = "bob@example.net"

    @property
    def canonical_id(self) -> CanonicalId:
        return CanonicalId(self.address)

    async def send(self, recipient: EnsName, text: str, native_id: NativeId) -> None:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = f"Bob <{self.address}>"
        mail["To"] = f"{recipient}@gw.example"
        mail["Message-ID"] = f"<{native_id}@example.net>"
        mail.set_content(text)
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.adapter.mx_port, local_hostname="client.example.net", start_tls=False
        ) as client:
            await client.sendmail(self.address, [f"{recipient}@gw.example"], mail.as_bytes())

    async def received(self) -> Sequence[str]:
        return [mail.get_content() for mail in self.mailbox.mails if not mail.is_multipart()]
