"""The certificate that clients get after STARTTLS: its names, its time, and whether the key is its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.email.examination.subject import Subject, bad, good, poor
from gateway.sdk import Finding

SOON: Final = timedelta(days=14)
"""Before the end: whatever renews certificates should have done so."""
_GET: Final = "get one for it, from any public authority (ACME), with its whole chain"


class Unreadable(Exception):
    """A file that holds nothing of use; a sentence without a full stop."""


async def certificate(subject: Subject) -> list[Finding]:
    """The files of `tls_cert_file` and `tls_key_file`."""
    settings = subject.settings
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        if subject.in_front:
            return [good("certificate", "none here; the server in front has its own")]
        found = "mail comes in clear text: tls_cert_file and tls_key_file are not set"
        return [poor("certificate", found, f"{subject.host} needs a certificate: {_GET}")]
    try:
        leaf, own_key = await asyncio.to_thread(_read, settings.tls_cert_file, settings.tls_key_file)
    except Unreadable as error:
        return [bad("certificate", str(error), "the gateway does not start with it: put the files right")]
    return [judge(leaf, subject.host, datetime.now(UTC), own_key=own_key)]


def judge(leaf: x509.Certificate, host: str, now: datetime, *, own_key: bool) -> Finding:
    """What a client that verifies would say of a certificate. Pure."""
    names = _names(leaf)
    until = f"{leaf.not_valid_after_utc:%Y-%m-%d}"
    if not own_key:
        return bad("certificate", "the key is not that of the certificate", "name the two files that belong together")
    if now < leaf.not_valid_before_utc:
        return bad("certificate", f"it is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on only", "look at the clock")
    if now >= leaf.not_valid_after_utc:
        return bad("certificate", f"it was valid until {until}", "renew it, and restart the gateway")
    if not any(_covers(name, host) for name in names):
        return bad("certificate", f"it is for {', '.join(names) or 'no name'}, and not for {host}", _GET)
    if now + SOON >= leaf.not_valid_after_utc:
        return poor("certificate", f"it is valid until {until} only", "renew it, and restart the gateway")
    return good("certificate", f"it is for {host} and valid until {until}")


def _read(certificate_file: Path, key_file: Path) -> tuple[x509.Certificate, bool]:
    """The first certificate, and whether the key is its own; raises Unreadable."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate_file.read_bytes())[0]
    except OSError as error:
        raise Unreadable(f"{certificate_file} cannot be read: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise Unreadable(f"{certificate_file} holds no certificate in PEM") from error
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as error:
        raise Unreadable(f"{key_file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unreadable(f"{key_file} holds no private key in PEM without a password") from error
    return leaf, leaf.public_key() == key.public_key()


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _covers(name: str, host: str) -> bool:
    """RFC 9525, section 6.3: a star stands for the whole first label."""
    _, dot, parent = host.partition(".")
    return name == host or (bool(dot) and name == f"*.{parent}")
