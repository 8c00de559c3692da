"""A TLS report as a mail (RFC 8460, section 5.3), and whom a domain wants it sent to (section 3). Pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote

from adapters.email.dkim.tags import MalformedTags, parse_tags
from adapters.email.gateway_mail import LOCAL_PART
from adapters.email.parse import TRACE_HEADER
from adapters.email.render import ASCII_HEADERS, RenderedMail, serialise, to_address
from gateway.sdk import CanonicalId, InvalidInput, NativeId
from gateway.sdk.addresses import canonical_email

MAX_ADDRESSES: Final = 2
"""Of one domain that get its report."""
_VERSION: Final = "TLSRPTv1"
_MAILTO: Final = "mailto:"


def report_addresses(texts: Sequence[str]) -> tuple[CanonicalId, ...]:
    """Where the TXT records at ``_smtp._tls.<domain>`` want reports; empty unless there is one record, with mailto."""
    records = [each for each in texts if each.replace(" ", "").startswith(f"v={_VERSION};")]
    if len(records) != 1:
        return ()
    try:
        targets = parse_tags(records[0]).get("rua", "").split(",")
    except MalformedTags:
        return ()
    found: list[CanonicalId] = []
    for target in (each.strip() for each in targets):
        if target.lower().startswith(_MAILTO):
            try:
                address = canonical_email(unquote(target[len(_MAILTO) :].partition("?")[0]))
            except InvalidInput:
                continue
            if address.isascii():
                found.append(address)
    return tuple(dict.fromkeys(found))[:MAX_ADDRESSES]


def report_mail(report: Mapping[str, Any], recipient: CanonicalId, *, domain: str) -> RenderedMail:
    """The report of one domain and day, the same bytes at every try; `report` as `TlsReport.export` gives it.

    Raises InvalidInput when the address cannot be written in a header.
    """
    about = str(report["policies"][0]["policy"]["policy-domain"])
    begin, end = (_time(report["date-range"][f"{each}-datetime"]) for each in ("start", "end"))
    identity = str(report["report-id"])
    message_id = NativeId(f"<tls.{identity}>")
    mail = EmailMessage(policy=ASCII_HEADERS)
    mail["From"] = Address("DM3 gateway", username=LOCAL_PART, domain=domain)
    mail["To"] = to_address(recipient)
    mail["Subject"] = f"Report Domain: {about} Submitter: {domain} Report-ID: <{identity}>"
    mail["Date"] = end
    mail["Message-ID"] = message_id
    mail["TLS-Report-Domain"] = about
    mail["TLS-Report-Submitter"] = domain
    mail["Auto-Submitted"] = "auto-generated"
    mail[TRACE_HEADER] = domain
    mail.set_content(f"This is a report of {domain} on TLS with the mail servers of {about} (RFC 8460).\n")
    data = gzip.compress(json.dumps(report, separators=(",", ":")).encode(), mtime=0)
    name = f"{domain}!{about}!{int(begin.timestamp())}!{int(end.timestamp())}!001.json.gz"
    mail.add_attachment(data, maintype="application", subtype="tlsrpt+gzip", filename=name)
    boundary = f"tls-{int(begin.timestamp())}"
    mail.replace_header("Content-Type", f'multipart/report; report-type="tlsrpt"; boundary="{boundary}"')
    return RenderedMail(message_id, serialise(mail), utf8=False)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
