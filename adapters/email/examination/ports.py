"""Ports of this host: does this gateway answer there, with TLS that holds; or could it?

Whether the world gets through to them cannot be seen from here.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from adapters.email.charsets import one_line
from adapters.email.examination.subject import Subject, bad, good, poor
from adapters.email.tls import verifying_context
from gateway.sdk import Finding

STEP_SECONDS: Final = 2.0
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not listened on
_MAX_LINE: Final = 200
_MAX_LINES: Final = 50


@dataclass(frozen=True, slots=True)
class Port:
    """One of the settings."""

    check: str
    host: str
    number: int
    hello: str = "EHLO"
    starts_tls: bool = False
    """Whether STARTTLS must be offered."""
    silent: bool = False
    """Whether it waits for a proxy's header, so that nothing more than a connection can be seen."""

    @property
    def near(self) -> str:
        """Where to connect to from here."""
        return _ANY.get(self.host, self.host)


def ports_of(subject: Subject) -> list[Port]:
    """The ports that are switched on."""
    settings, tls = subject.settings, subject.settings.tls_cert_file is not None
    found = [Port("port.mx", settings.smtp_host, settings.smtp_port, "EHLO", tls, bool(settings.proxy_networks))]
    if settings.submission_port is not None:
        found.append(Port("port.submission", settings.smtp_host, settings.submission_port, "EHLO", True))
    if settings.lmtp_port is not None:
        found.append(Port("port.lmtp", settings.lmtp_host, settings.lmtp_port, "LHLO"))
    return found


async def ports(subject: Subject) -> list[Finding]:
    """All of them at the same time."""
    context = await asyncio.to_thread(verifying_context)
    return list(await asyncio.gather(*(_port(each, subject.host, context) for each in ports_of(subject))))


async def _port(port: Port, host: str, context: ssl.SSLContext) -> Finding:
    where = f"port {port.number} of {port.near}"
    if port.number == 0:
        return poor(port.check, "any free port is taken at each start", "set a number; 25 is what the world knows")
    try:
        async with asyncio.timeout(STEP_SECONDS):
            reader, writer = await asyncio.open_connection(port.near, port.number)
    except TimeoutError:
        return bad(port.check, f"{where} does not answer", "look for a packet filter on this host")
    except OSError:
        return await asyncio.to_thread(could_listen, port, where)
    try:
        return await _talk(port, host, where, Conversation(reader, writer), context)
    except (OSError, TimeoutError, ssl.SSLError, ValueError):
        return bad(port.check, f"{where} is open and does not answer as a mail server", "see what listens there")
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A client's side of SMTP, as far as it is needed here."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> list[str]:
        """The lines of the next reply; raises OSError, TimeoutError, ValueError."""
        lines: list[str] = []
        async with asyncio.timeout(STEP_SECONDS):
            while len(lines) < _MAX_LINES:
                line = (await self.reader.readline()).decode("utf-8", "replace")
                if not line:
                    raise ConnectionResetError
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    break
        return lines

    async def say(self, command: str) -> list[str]:
        """A command, and its reply."""
        self.writer.write(f"{command}\r\n".encode())
        return await self.reply()


async def _talk(port: Port, host: str, where: str, talk: Conversation, context: ssl.SSLContext) -> Finding:
    if port.silent:
        return good(port.check, f"{where} is open, for proxies")
    greeting = one_line((await talk.reply())[0], _MAX_LINE)
    if not greeting.startswith(f"220 {host} "):
        fix = "another program has the port: stop it, or take another port and let it hand over"
        return bad(port.check, f"{where} greets with: {greeting}", fix)
    offered = await talk.say(f"{port.hello} {host}")
    if not any(line[4:].upper() == "STARTTLS" for line in offered):
        if port.starts_tls:
            return bad(port.check, f"{where} offers no STARTTLS", "restart the gateway: it has another configuration")
        return good(port.check, f"{where} is this gateway's")
    await talk.say("STARTTLS")
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await talk.writer.start_tls(context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        fix = "senders who verify (MTA-STS) send nothing: see certificate, and restart the gateway after a change"
        return poor(port.check, f"{where} is this gateway's; its certificate does not hold: {_why(error)}", fix)
    return good(port.check, f"{where} is this gateway's, with TLS that holds")


def _why(error: ssl.SSLCertVerificationError) -> str:
    return one_line(error.verify_message, _MAX_LINE)


def could_listen(port: Port, where: str) -> Finding:
    """Nobody listens: whether we could. Takes the port for a moment, without listening."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            port.host or None, port.number, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except PermissionError:
        fix = (
            "AmbientCapabilities=CAP_NET_BIND_SERVICE and PrivateUsers=no in its systemd unit (deploy/systemd), "
            "or a port above 1023 behind a mail server"
        )
        return bad(port.check, f"this user may not listen on {where}", fix)
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "no such address")
        return bad(port.check, f"nobody can listen on {where}: {reason}", "name an address of this host")
    return poor(port.check, f"nothing listens on {where}", "start the gateway, then look again")
