"""ARC (RFC 8617): what forwarders say that they saw. Only a hint, and only from sealers whom the operator lists.

A chain proves who forwarded a mail and not that they tell the truth, so a chain of strangers is not even checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.email.authentication.dkim import BodyHashes, check_signature, header_digest, twin_of_signed
from adapters.email.authentication.dkim_signature import (
    MAX_SIGNATURE,
    Algorithm,
    MalformedSignature,
    Signature,
    decode_base64,
    is_domain,
    parse_signature,
)
from adapters.email.authentication.dns import Lookups
from adapters.email.authentication.reported import MalformedReport, parse_report
from adapters.email.authentication.results import Arc, ArcResult, Dkim
from adapters.email.dkim.canonical import Form, canonical_field, without_signature
from adapters.email.dkim.fields import Field
from adapters.email.dkim.tags import MalformedTags, parse_tags

MAX_SETS: Final = 10
"""Forwarders of one mail; the standard allows 50, each of which costs two look-ups."""
_RESULTS, _MESSAGE, _SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
_NAMES: Final = (_RESULTS, _MESSAGE, _SEAL)
_INSTANCE: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*(\d{1,3})[ \t\r\n]*;")


class MalformedChain(ValueError):
    """fail: sets are missing, doubled or not a chain."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One ARC-Seal."""

    domain: str
    selector: str
    algorithm: Algorithm
    signature: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    """SHA-256 of what it seals: all fields of all sets up to its own."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that hangs together; its signatures are not checked yet."""

    seals: tuple[Seal, ...]
    """First forwarder first."""
    reports: tuple[Field, ...] = field(repr=False)
    """What each forwarder saw."""
    message: Signature
    digest: bytes = field(repr=False)
    body: tuple[Dkim, str] | None
    """What is wrong about the body, by the last forwarder's signature."""


def read_chain(fields: Iterable[Field], body: bytes | memoryview, sealers: frozenset[str], *, now: int) -> Chain | None:
    """The chain of a mail whose last sealer is on the list; None for any other. Raises MalformedChain.

    `now` is in seconds since the epoch. Slow on large mail, as `dkim.read_claims` is.
    """
    fields = tuple(fields)
    sets = _sets(fields)
    if not sets:
        return None
    seals = _seals(sets)
    if seals[-1].domain not in sealers:
        return None
    try:
        message = parse_signature(sets[-1][_MESSAGE], instance_only=True)
    except MalformedSignature as error:
        raise MalformedChain(str(error)) from error
    if message.over(now):
        raise MalformedChain("the message signature is over")
    if _SEAL in message.names:
        raise MalformedChain("a message signature over seals")  # section 4.1.2
    if twin_of_signed(message, fields) is not None:
        raise MalformedChain("a field stands beside the signed one")
    return Chain(
        seals=seals,
        reports=tuple(each[_RESULTS] for each in sets),
        message=message,
        digest=header_digest(message, fields),
        body=BodyHashes(body).verdict(message),
    )


def _sets(fields: Iterable[Field]) -> list[Mapping[str, Field]]:
    sets: dict[int, dict[str, Field]] = {}
    for each in fields:
        if each.name not in _NAMES:
            continue
        match = _INSTANCE.match(each.value[:200])
        if match is None and each.name != _RESULTS and len(each.raw) <= MAX_SIGNATURE:
            number = _instance_tag(each)
        else:
            number = int(match[1]) if match else 0
        if not 1 <= number <= MAX_SETS or each.name in sets.setdefault(number, {}):
            raise MalformedChain("a set without a number, with a large one, or twice")
        sets[number][each.name] = each
    if sets and (max(sets) != len(sets) or any(len(each) != len(_NAMES) for each in sets.values())):
        raise MalformedChain("a set is missing or not complete")
    return [sets[number] for number in sorted(sets)]


def _instance_tag(each: Field) -> int:
    """``i=`` need not be the first tag of a signature."""
    try:
        text = parse_tags(each.value.decode("ascii")).get("i", "")
    except (MalformedTags, UnicodeDecodeError) as error:
        raise MalformedChain("not a list of tags") from error
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0


def _seals(sets: list[Mapping[str, Field]]) -> tuple[Seal, ...]:
    seals = []
    sealed = hashlib.sha256()
    for number, each in enumerate(sets, start=1):
        for name in (_RESULTS, _MESSAGE):
            sealed.update(canonical_field(each[name].raw, Form.RELAXED) + b"\r\n")
        raw = each[_SEAL].raw
        own = sealed.copy()
        own.update(canonical_field(without_signature(raw), Form.RELAXED))
        seals.append(_seal(each[_SEAL], number, own.digest()))
        sealed.update(canonical_field(raw, Form.RELAXED) + b"\r\n")
    return tuple(seals)


def _seal(source: Field, number: int, digest: bytes) -> Seal:
    if len(source.raw) > MAX_SIGNATURE:
        raise MalformedChain("seal too long")
    try:
        tags = parse_tags(source.value.decode("ascii"))
        domain, selector = tags.get("d", "").lower(), tags.get("s", "").lower()
        if not is_domain(domain) or not is_domain(selector) or "h" in tags:
            raise MalformedChain("malformed seal")
        # Section 5.2: the first has seen no chain, every other one a good one.
        if tags.get("cv", "").lower() != ("none" if number == 1 else "pass"):
            raise MalformedChain("a forwarder found the chain broken")
        return Seal(domain, selector, Algorithm(tags.get("a", "").lower()), decode_base64(tags.get("b", "")), digest)
    except (MalformedTags, UnicodeDecodeError, ValueError) as error:
        raise MalformedChain("malformed seal") from error


async def check_chain(chain: Chain, *, author: str, sealers: frozenset[str], lookups: Lookups) -> ArcResult:
    """Verify the last message signature and every seal; vouching needs a listed sealer who saw DMARC pass for `author`.

    All sealers from that one on must be listed: any later one could have changed what it passed on.
    """
    sealer = chain.seals[-1].domain
    if chain.body is not None:
        return ArcResult(Arc.FAIL, sealer)
    outcomes = [(await check_signature(chain.message, chain.digest, lookups))[0]]
    for each in reversed(chain.seals):
        signature = _as_signature(each)
        outcomes.append((await check_signature(signature, each.digest, lookups))[0])
    if any(outcome not in (Dkim.PASS, Dkim.TEMPERROR) for outcome in outcomes):
        return ArcResult(Arc.FAIL, sealer)
    if Dkim.TEMPERROR in outcomes:
        return ArcResult(Arc.TEMPERROR, sealer)
    return ArcResult(Arc.PASS, sealer, _vouches(chain, author, sealers))


def _as_signature(seal: Seal) -> Signature:
    return Signature(
        algorithm=seal.algorithm,
        signature=seal.signature,
        body_hash=b"",
        header_form=Form.RELAXED,
        body_form=Form.RELAXED,
        domain=seal.domain,
        selector=seal.selector,
        names=(),
        agent_domain=seal.domain,
        body_length=None,
        expires=None,
        raw=b"",
    )


def _vouches(chain: Chain, author: str, sealers: frozenset[str]) -> bool:
    for seal, report in zip(reversed(chain.seals), reversed(chain.reports), strict=True):
        if seal.domain not in sealers:
            return False
        if _saw_pass(report, author):
            return True
    return False


def _saw_pass(report: Field, author: str) -> bool:
    _, _, rest = report.value.partition(b";")  # behind i=
    try:
        results = parse_report(rest).results
    except MalformedReport:
        return False
    return any(
        each.method == "dmarc" and each.outcome == "pass" and each.properties.get("header.from") == author
        for each in results
    )
