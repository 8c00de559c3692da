"""MTA-STS and TLS reports of our own domain (RFC 8461, RFC 8460)."""

from __future__ import annotations

import asyncio
from typing import Final

from adapters.email.examination.subject import Subject, bad, good, poor, sts_lines, tls_report_line
from adapters.email.mta_sts.fetch import FetchFailed, PolicyHost
from adapters.email.mta_sts.policy import Mode, Policy, record_id
from adapters.email.routes import MxRoutes
from gateway.sdk import Finding

FETCH_SECONDS: Final = 6.0
_REPORTS: Final = "v=tlsrptv1"


async def mta_sts(subject: Subject) -> list[Finding]:
    """Record and policy are there, and the policy names this host; neither is needed for mail to arrive."""
    domain = subject.domain
    texts = [text for text in await subject.texts(f"_mta-sts.{domain}") if text.lower().startswith("v=stsv1")]
    first = sts_lines(subject, "testing")
    if not texts:
        fix = (
            "whoever is between a sender and us can take TLS away; add these, serve the policy at "
            f"https://mta-sts.{domain}/.well-known/mta-sts.txt, and set its mode to enforce when all goes well"
        )
        return [poor("mta-sts", f"{domain} has no MTA-STS record", fix, *first)]
    if record_id(texts) is None:
        return [bad("mta-sts", f"the record at _mta-sts.{domain} is not valid, or not the only one", "replace", *first)]
    try:
        policy = await _policy(subject)
    except (FetchFailed, TimeoutError) as failure:
        why = failure.kind.value if isinstance(failure, FetchFailed) else "no answer"
        fix = f"serve the policy at https://mta-sts.{domain}/.well-known/mta-sts.txt, as text/plain"
        return [bad("mta-sts", f"there is a record, and no policy: {why}", fix, *first)]
    return [_judged(subject, policy)]


async def _policy(subject: Subject) -> Policy:
    settings = subject.settings
    routes = MxRoutes(settings.dns_servers, allow_private=settings.allow_private_destinations)
    async with asyncio.timeout(FETCH_SECONDS):
        return await PolicyHost(routes, settings.mta_sts_port).fetch(subject.domain)


def _judged(subject: Subject, policy: Policy) -> Finding:
    lines = sts_lines(subject, "enforce")
    again = "change the policy, and then the id in the record"
    if not policy.covers(subject.host) and not subject.in_front:
        return bad("mta-sts", f"the policy names {', '.join(policy.mx)}, and not {subject.host}", again, *lines)
    if policy.mode is Mode.ENFORCE and subject.settings.tls_cert_file is None and not subject.in_front:
        fix = "no mail comes from senders who obey it: set tls_cert_file and tls_key_file"
        return bad("mta-sts", "the policy asks for TLS, and this server has none", fix)
    if policy.mode is not Mode.ENFORCE:
        return poor("mta-sts", f"the policy has mode {policy.mode.value}, which protects nothing", again, *lines)
    return good("mta-sts", f"senders are told to use TLS with {subject.host}", *lines)


async def tls_reports(subject: Subject) -> list[Finding]:
    """Others can tell us that their TLS to us fails."""
    name, line = f"_smtp._tls.{subject.domain}", tls_report_line(subject)
    texts = [text for text in await subject.texts(name) if text.lower().startswith(_REPORTS)]
    if not texts:
        fix = "nobody tells you when TLS to you fails; the reports come to the operator"
        return [poor("tls-rpt", f"{name} has no record", fix, line)]
    fields = dict(part.strip().partition("=")[::2] for part in texts[0].split(";"))
    targets = [each.strip() for each in fields.get("rua", "").split(",")]
    if len(texts) > 1 or not all(target.startswith(("mailto:", "https:")) for target in targets):
        return [bad("tls-rpt", f"the record at {name} is not valid, or not the only one", "replace it", line)]
    if f"mailto:postmaster@{subject.domain}" in targets and subject.settings.operator is None:
        return [poor("tls-rpt", "reports go to postmaster@, which nobody reads", "set operator", line)]
    return [good("tls-rpt", f"reports go to {', '.join(targets)}", line)]
