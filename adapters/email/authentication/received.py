"""The trace field of a mail that is kept (RFC 5321, section 4.4): from whom, by whom, how and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address

from adapters.email.authentication.dkim_signature import is_domain
from adapters.email.handler import Client, Role


def received_field(client: Client, host_name: str, now_ms: int) -> bytes:
    """The field with its CR LF: ASCII, of our words, of the client's address and of a greeting that is a domain alone.

    Where somebody who logged in is connected from is not their readers' business.
    """
    if client.role is Role.SUBMISSION:
        source = "from login.invalid (logged in)"
    else:
        source = f"from {client.helo if is_domain(client.helo) else 'unknown.invalid'} ({_literal(client.address)})"
    time = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    return f"Received: {source}\r\n by {host_name} with {_protocol(client)};\r\n {time}\r\n".encode("ascii")


def _literal(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return "[unknown]"
    return f"[IPv6:{ip}]" if ip.version == 6 else f"[{ip}]"


def _protocol(client: Client) -> str:
    """By the registry of RFC 3848 and RFC 6531, section 4.3."""
    name = "LMTP" if client.role is Role.LMTP else "SMTP" if client.smtp_utf8 else "ESMTP"
    return f"{'UTF8' if client.smtp_utf8 else ''}{name}{'S' if client.tls else ''}{'A' if client.login else ''}"
