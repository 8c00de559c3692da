"""DKIM (RFC 6376): which domains signed this mail?

Reading and hashing (`read_claims`) is pure and takes time with the size of a mail, so it belongs in a thread; asking
for keys and checking signatures (`check_claims`) takes a tenth of a millisecond for each.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from adapters.email.authentication.dkim_key import UnusableKey, choose_key
from adapters.email.authentication.dkim_signature import MalformedSignature, Signature, parse_signature
from adapters.email.authentication.dns import DnsTrouble, Lookups
from adapters.email.authentication.results import Dkim, DkimResult
from adapters.email.dkim.canonical import Form, body_hash, signed_header
from adapters.email.dkim.fields import Field, select

MAX_SIGNATURES: Final = 8
"""Signatures of one mail that are checked; those of domains near the one of From first."""
SINGLE: Final = frozenset(
    (
        *("from", "sender", "reply-to", "to", "cc", "date", "subject", "message-id", "in-reply-to", "references"),
        *("content-type", "content-transfer-encoding"),
    )
)
"""What a mail has once (RFC 5322, section 3.6; RFC 2045): readers take the first one, signatures hold for the last.

MIME-Version is not among them: it says nothing, and honest mail has it twice.
"""
_NAME: Final = "dkim-signature"


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature that is worth asking for its key, or why it is not."""

    signature: Signature | None = None
    digest: bytes = field(default=b"", repr=False)
    """SHA-256 of the signed header."""
    verdict: DkimResult | None = None
    """Set when no key could change it."""


class BodyHashes:
    """Hashes of one body, each form once however many signatures want it."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = body
        self._known: dict[Form, tuple[bytes, int]] = {}

    def verdict(self, signature: Signature) -> tuple[Dkim, str] | None:
        """None when the signature is about this body, all of it; else what is wrong."""
        digest, size = self._digest(signature.body_form)
        if signature.body_length is not None and signature.body_length != size:
            # Whoever carried the mail may have added whatever is behind the signed part.
            return Dkim.POLICY, "only a part of the body is signed"
        return None if digest == signature.body_hash else (Dkim.FAIL, "body was changed")

    def _digest(self, form: Form) -> tuple[bytes, int]:
        if form not in self._known:
            self._known[form] = body_hash(self._body, form)
        return self._known[form]


def read_claims(fields: Iterable[Field], body: bytes | memoryview, *, near: str, now: int) -> tuple[Claim, ...]:
    """The signatures of a mail; `near` is the domain of From, `now` seconds since the epoch. Slow on large mail."""
    fields = tuple(fields)
    parsed = [_parse(each) for each in fields if each.name == _NAME]
    parsed.sort(key=lambda each: not _is_near(each, near))
    hashes = BodyHashes(body)
    return tuple(_claim(each, fields, hashes, now) for each in parsed[:MAX_SIGNATURES])


def _parse(source: Field) -> Signature | DkimResult:
    try:
        return parse_signature(source)
    except MalformedSignature as error:
        return DkimResult(Dkim.PERMERROR, error.domain, error.selector, str(error))


def _is_near(each: Signature | DkimResult, domain: str) -> bool:
    other = each.domain
    return isinstance(each, Signature) and (
        other == domain or other.endswith(f".{domain}") or domain.endswith(f".{other}")
    )


def _claim(each: Signature | DkimResult, fields: tuple[Field, ...], hashes: BodyHashes, now: int) -> Claim:
    if isinstance(each, DkimResult):
        return Claim(verdict=each)
    if each.over(now):
        return Claim(verdict=_result(each, Dkim.POLICY, "signature is over"))
    if (added := twin_of_signed(each, fields)) is not None:
        return Claim(verdict=_result(each, Dkim.POLICY, f"another {added} stands beside the signed one"))
    if (wrong := hashes.verdict(each)) is not None:
        return Claim(verdict=_result(each, *wrong))
    return Claim(each, header_digest(each, fields))


def twin_of_signed(signature: Signature, fields: tuple[Field, ...]) -> str | None:
    """Name of a signed field that has a twin: somebody put it there to be read instead (section 8.15)."""
    signed, found = Counter(signature.names), Counter(each.name for each in fields)
    return next((name for name in signature.names if name in SINGLE and found[name] > signed[name]), None)


def header_digest(signature: Signature, fields: Iterable[Field]) -> bytes:
    """What was signed: SHA-256 of the canonical header (section 3.7)."""
    others = [each for each in fields if each.raw is not signature.raw]
    content = signed_header(select(others, signature.names), signature.raw, signature.header_form)
    return hashlib.sha256(content).digest()


async def check_claims(claims: Iterable[Claim], lookups: Lookups) -> tuple[DkimResult, ...]:
    """The result of each claim; never raises for what the DNS says."""
    return tuple(await asyncio.gather(*(_check(each, lookups) for each in claims)))


async def _check(claim: Claim, lookups: Lookups) -> DkimResult:
    if claim.verdict is not None:
        return claim.verdict
    signature = claim.signature
    assert signature is not None
    outcome, reason = await check_signature(signature, claim.digest, lookups)
    return _result(signature, outcome, reason)


async def check_signature(signature: Signature, digest: bytes, lookups: Lookups) -> tuple[Dkim, str]:
    """Ask for the key and verify; outcome and reason."""
    try:
        answer = await lookups.ask(f"{signature.selector}._domainkey.{signature.domain}", "TXT")
        key = choose_key(answer.records)
    except DnsTrouble:
        return Dkim.TEMPERROR, "key cannot be asked for"
    except UnusableKey as error:
        return Dkim.PERMERROR, str(error)
    if key.exact_domain and signature.agent_domain != signature.domain:
        return Dkim.PERMERROR, "key is not for subdomains"
    if key.verifies(signature.signature, digest, signature.algorithm):
        return Dkim.PASS, ""
    return Dkim.FAIL, "signature does not verify"


def _result(signature: Signature, outcome: Dkim, reason: str) -> DkimResult:
    return DkimResult(outcome, signature.domain, signature.selector, reason)
