"""What was found, as a header field of the mail that is kept (RFC 8601), and as words for the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.email.authentication.dkim_signature import is_domain
from adapters.email.authentication.reported import NAME, is_forged
from adapters.email.authentication.results import Arc, DkimResult, Dmarc, Results, SpfResult
from adapters.email.dkim.fields import split_fields, split_lines, split_mail

MAX_DKIM: Final = 8
"""Signatures that are written down."""


def results_field(results: Results, server: str) -> bytes:
    """The field with its CR LF: ASCII, folded, built of our words and of names that were checked alone."""
    statements = [_spf(results.spf), *(_dkim(each) for each in results.dkim[:MAX_DKIM])]
    if not results.dkim:
        statements.append("dkim=none")
    dmarc = results.dmarc
    # The comment is how others write the policy, too.
    comment = "" if dmarc.outcome is Dmarc.NONE else f" (p={dmarc.policy})"
    statements.append(f"dmarc={dmarc.outcome}{comment}{_named('header.from', dmarc.domain)}")
    if results.arc.outcome is not Arc.NONE:
        statements.append(f"arc={results.arc.outcome}{_named('header.d', results.arc.sealer)}")
    return "\r\n ".join([f"Authentication-Results: {server};", *_separated(statements)]).encode("ascii") + b"\r\n"


def login_field(server: str) -> bytes:
    """For a mail whose sender logged in here."""
    return f"Authentication-Results: {server}; auth=pass\r\n".encode("ascii")


def nothing_field(server: str) -> bytes:
    """For a mail that was taken without any check."""
    return f"Authentication-Results: {server}; none\r\n".encode("ascii")


def _separated(statements: list[str]) -> list[str]:
    return [f"{each};" for each in statements[:-1]] + statements[-1:]


def _spf(spf: SpfResult) -> str:
    return f"spf={spf.outcome}{_named('smtp.helo' if spf.helo else 'smtp.mailfrom', spf.domain)}"


def _dkim(dkim: DkimResult) -> str:
    reason = f' reason="{dkim.reason}"' if dkim.reason else ""
    return f"dkim={dkim.outcome}{reason}{_named('header.d', dkim.domain)}{_named('header.s', dkim.selector)}"


def _named(name: str, domain: str) -> str:
    return f" {name}={domain}" if is_domain(domain) else ""


def traced(data: bytes, field: bytes, server: str) -> bytes:
    """The mail with `field` on top, and without fields that pretended to be ours (section 5)."""
    head, _ = split_mail(data)
    if NAME.encode() not in head.lower():
        return field + data
    kept = [line for line in split_lines(head) if not any(is_forged(each, server) for each in split_fields(line))]
    return b"".join([field, *(line + b"\r\n" for line in kept), data[len(head) :].removeprefix(b"\r\n")])


def words(results: Results) -> Mapping[str, str]:
    """For the log: outcomes and nobody's name."""
    dkim = sorted({str(each.outcome) for each in results.dkim}) or ["none"]
    found = {"spf": str(results.spf.outcome), "dkim": ",".join(dkim), "dmarc": str(results.dmarc.outcome)}
    if results.dmarc.outcome is Dmarc.FAIL:
        found["policy"] = str(results.dmarc.policy)
    if results.arc.outcome is not Arc.NONE:
        found["arc"] = str(results.arc.outcome)
    if results.trusted:
        found["trusted"] = "yes"
    return found
