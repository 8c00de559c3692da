"""SPF, DKIM and DMARC of our own domain: judged by the same code that judges other people's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from adapters.email.authentication.dkim_key import UnusableKey, choose_key
from adapters.email.authentication.dmarc import walk
from adapters.email.authentication.results import Policy, Spf
from adapters.email.authentication.spf import check_spf
from adapters.email.authentication.spf_record import MalformedRecord, SpfRecord, choose_record, parse_record
from adapters.email.dkim.keys import DkimKey, load_keys
from adapters.email.examination.subject import (
    Subject,
    bad,
    dmarc_line,
    good,
    helo_spf_line,
    poor,
    spf_line,
)
from gateway.sdk import ConfigError, Finding


async def spf(subject: Subject) -> list[Finding]:
    """The record lets through what we send, and nothing else."""
    found = [await _spf(subject)]
    if subject.host != subject.domain and subject.settings.relay is None:
        found.append(await _helo_spf(subject))
    return found


async def _spf(subject: Subject) -> Finding:
    line = spf_line(subject)
    try:
        text = choose_record(await subject.texts(subject.domain))
        if text is None:
            return bad("spf", f"{subject.domain} has no SPF record", "add it to the zone", line)
        record = parse_record(text)
    except MalformedRecord as error:
        return bad("spf", f"the SPF record of {subject.domain} is not valid: {error}", "replace it", line)
    refused = await _refused(subject, f"postmaster@{subject.domain}", await _sending(subject))
    if refused:
        fix = "add a term for it, or replace the record"
        return bad("spf", f"the SPF record does not let {', '.join(refused)} send: {text}", fix, line)
    everybody = _of_others(record)
    if everybody is Spf.PASS:
        return bad("spf", f"the SPF record lets everybody send: {text}", "let it end in -all", line)
    if everybody not in (Spf.FAIL, Spf.SOFTFAIL) and record.redirect is None:
        return poor("spf", f"the SPF record says nothing of other senders: {text}", "let it end in -all", line)
    return good("spf", text, line)


async def _helo_spf(subject: Subject) -> Finding:
    """Failure notices and answers have the null sender: then the name of the greeting is what SPF looks at."""
    line = helo_spf_line(subject)
    refused = await _refused(subject, "", await _sending(subject))
    if refused:
        found = f"SPF of the greeting {subject.host} does not pass for {', '.join(refused)}"
        return poor("spf.helo", found, "mail with the null sender then hangs on DKIM alone", line)
    return good("spf.helo", f"SPF of the greeting {subject.host} passes", line)


async def _sending(subject: Subject) -> Sequence[str]:
    """Addresses that our mail comes from, as far as that can be known from here."""
    relay = subject.settings.relay
    if relay is None:
        return await subject.addresses()
    try:
        literal = ip_address(relay.host)
    except ValueError:
        answers = await asyncio.gather(*(subject.lookups.ask(relay.host, kind) for kind in ("A", "AAAA")))
        return [record for answer in answers for record in answer.records]
    # A relay on this host sends from where we are.
    return [str(literal)] if literal.is_global else await subject.addresses()


async def _refused(subject: Subject, sender: str, addresses: Sequence[str]) -> list[str]:
    results = await asyncio.gather(*(check_spf(each, sender, subject.host, subject.lookups) for each in addresses))
    return [address for address, result in zip(addresses, results, strict=True) if result.outcome is not Spf.PASS]


def _of_others(record: SpfRecord) -> Spf | None:
    return next((each.outcome for each in record.mechanisms if each.name == "all"), None)


async def dkim(subject: Subject) -> list[Finding]:
    """Each key is readable, and its record is in the DNS."""
    settings = subject.settings
    make = f"python -m adapters.email.keys {subject.domain} . makes them; then set dkim_key_files"
    if not settings.dkim_key_files:
        return [bad("dkim", "mail is not signed: dkim_key_files is empty", make)]
    try:
        keys = await asyncio.to_thread(load_keys, settings.dkim_key_files, settings.dkim_selector)
    except ConfigError as error:
        return [bad("dkim", error.detail, make)]
    found = list(await asyncio.gather(*(_dkim(subject, key) for key in keys)))
    if not any(key.algorithm.startswith("rsa") for key in keys):
        found.append(poor("dkim", "there is no RSA key, and large receivers read no other", make))
    return found


async def _dkim(subject: Subject, key: DkimKey) -> Finding:
    check, name, line = f"dkim.{key.selector}", key.record_name(subject.domain), key.zone_line(subject.domain)
    records = await subject.texts(name)
    if not records:
        return bad(check, f"{name} has no TXT record", "add it to the zone", line)
    try:
        published = choose_key(records)
    except UnusableKey as error:
        return bad(check, f"the record at {name} cannot be used: {error}", "replace it", line)
    if published.key != key.private.public_key():
        return bad(check, f"{name} holds another key than the one that signs", "replace the record", line)
    return good(check, f"{name} holds the key that signs", line)


async def dmarc(subject: Subject) -> list[Finding]:
    """Receivers are told to refuse what is not ours."""
    domain, line = subject.domain, dmarc_line(subject)
    own = [text for text in await subject.texts(f"_dmarc.{domain}") if text.lower().startswith("v=dmarc1")]
    if len(own) > 1:
        return [bad("dmarc", f"_dmarc.{domain} has {len(own)} records, which count as none", "leave one", line)]
    applying = (await walk(domain, subject.lookups)).applying
    if applying is None:
        found = "holds no valid record" if own else "has no record"
        return [bad("dmarc", f"_dmarc.{domain} {found}", "add it to the zone, or replace what is there", line)]
    where, record = applying
    policy = record.policy_for(below=where != domain, exists=True)
    said = f"the record at _dmarc.{where} asks for p={policy.value}"
    if policy is Policy.NONE:
        fix = "anybody may write in your name; once SPF and DKIM are right, ask for quarantine or reject"
        return [poor("dmarc", said, fix, line)]
    return [good("dmarc", said, line)]
