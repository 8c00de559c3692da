"""What is examined, and the lines that would make it right. Pure, but for the look-ups that it hands out."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from adapters.email.authentication.dns import Answer, Dns, DnsTrouble, Lookups
from adapters.email.settings import EmailSettings
from gateway.sdk import Finding, State

LOOKUP_SECONDS: Final = 3.0
_DNS_STRING: Final = 255
_MAX_AGE: Final = 604_800
"""Seconds that senders keep the MTA-STS policy: a week."""


class HastyDns(Dns):
    """Waits less than one who decides about mail: somebody sits in front of a terminal."""

    async def ask(self, domain: str, kind: str) -> Answer:
        """As `Dns.ask`."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await super().ask(domain, kind)
        except TimeoutError:
            raise DnsTrouble(f"the DNS does not answer for {kind} records") from None


@dataclass(frozen=True, slots=True)
class Subject:
    """One mail domain."""

    settings: EmailSettings
    public_url: str
    lookups: Lookups

    @property
    def domain(self) -> str:
        """Behind the @ sign."""
        return self.settings.domain

    @property
    def host(self) -> str:
        """Name of the mail server."""
        return self.settings.host_name

    @property
    def in_front(self) -> bool:
        """Whether another mail server, or a proxy, is what the world connects to."""
        return self.settings.lmtp_port is not None or bool(self.settings.proxy_networks)

    async def texts(self, name: str) -> tuple[str, ...]:
        """TXT records; raises DnsTrouble."""
        return (await self.lookups.ask(name, "TXT")).records

    async def addresses(self) -> tuple[str, ...]:
        """Of the mail server; raises DnsTrouble."""
        answers = await asyncio.gather(*(self.lookups.ask(self.host, kind) for kind in ("A", "AAAA")))
        return tuple(record for answer in answers for record in answer.records)


def good(check: str, found: str, *lines: str) -> Finding:
    """All is well."""
    return Finding(check=check, state=State.OK, found=found, lines=lines)


def poor(check: str, found: str, fix: str, *lines: str) -> Finding:
    """It works."""
    return Finding(check=check, state=State.WARN, found=found, fix=fix, lines=lines)


def bad(check: str, found: str, fix: str, *lines: str) -> Finding:
    """It does not."""
    return Finding(check=check, state=State.FAIL, found=found, fix=fix, lines=lines)


# --- lines of a zone file ---------------------------------------------------------------------------------------


def txt_line(name: str, text: str) -> str:
    """A TXT record, in strings as long as they may be (RFC 1035, section 3.3)."""
    strings = (text[start : start + _DNS_STRING] for start in range(0, len(text), _DNS_STRING))
    return f"{name}. IN TXT {' '.join(f'{chr(34)}{each}{chr(34)}' for each in strings)}"


def mx_line(subject: Subject) -> str:
    """Where mail for the domain goes."""
    return f"{subject.domain}. IN MX 10 {subject.host}."


def address_line(host: str, address: str) -> str:
    """Where the mail server is."""
    return f"{host}. IN {'AAAA' if ':' in address else 'A'} {address}"


def spf_line(subject: Subject) -> str:
    """Who may send for the domain: whoever takes its mail, or the relay host."""
    relay = subject.settings.relay
    if relay is None:
        return txt_line(subject.domain, "v=spf1 mx -all")
    return txt_line(subject.domain, f"v=spf1 mx {_spf_term(relay.host)} -all")


def _spf_term(host: str) -> str:
    if ":" in host:
        return f"ip6:{host}"
    return f"ip4:{host}" if host.replace(".", "").isdigit() else f"a:{host}"


def helo_spf_line(subject: Subject) -> str:
    """The same for the name in our greeting, which is what counts for mail from the null sender."""
    return txt_line(subject.host, "v=spf1 a -all")


def dmarc_line(subject: Subject) -> str:
    """What becomes of mail that is not ours; reports come to the operator, where there is one."""
    reports = f"; rua=mailto:postmaster@{subject.domain}" if subject.settings.operator else ""
    return txt_line(f"_dmarc.{subject.domain}", f"v=DMARC1; p=reject{reports}")


def tls_report_line(subject: Subject) -> str:
    """Where others report trouble with our TLS (RFC 8460)."""
    return txt_line(f"_smtp._tls.{subject.domain}", f"v=TLSRPTv1; rua=mailto:postmaster@{subject.domain}")


def policy_text(subject: Subject, mode: str) -> tuple[str, ...]:
    """Lines of the MTA-STS policy (RFC 8461, section 3.2)."""
    return ("version: STSv1", f"mode: {mode}", f"mx: {subject.host}", f"max_age: {_MAX_AGE}")


def sts_lines(subject: Subject, mode: str) -> tuple[str, ...]:
    """All that MTA-STS needs: the record, whose id changes with the policy, the web server's name, and the policy."""
    text = policy_text(subject, mode)
    number = hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]
    web = urlsplit(subject.public_url).hostname or subject.host
    return (
        txt_line(f"_mta-sts.{subject.domain}", f"v=STSv1; id={number}"),
        f"mta-sts.{subject.domain}. IN CNAME {web}.",
        *text,
    )
