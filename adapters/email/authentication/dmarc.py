"""DMARC (RFC 9989): does a domain that was proved belong to the domain of From, and what if none does?

Every passing signature counts. Where organisations begin is found by walking up the DNS; the public suffix list is a
net under that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from adapters.email.authentication.dmarc_record import DmarcRecord, choose_record
from adapters.email.authentication.dns import DnsTrouble, Lookups
from adapters.email.authentication.results import Dkim, DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from adapters.email.authentication.suffixes import is_public_suffix

MAX_WALK: Final = 8
"""Look-ups of one walk (section 4.10)."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk up from a domain found, longest domain first."""

    start: str
    found: tuple[tuple[str, DmarcRecord], ...]

    @property
    def organisation(self) -> str:
        """The organisational domain (section 4.10.2)."""
        for domain, record in self.found:
            if record.suffix is False:
                return domain
            if domain != self.start and self._is_suffix(domain, record):
                return _below(domain, self.start)
        return self.found[-1][0] if self.found else self.start

    @property
    def applying(self) -> tuple[str, DmarcRecord] | None:
        """Where the policy stands (section 4.10.1): at the domain, its organisation, or the suffix above that."""
        records = dict(self.found)
        for domain in (self.start, self.organisation):
            if domain in records:
                return domain, records[domain]
        return next(((domain, record) for domain, record in self.found if self._is_suffix(domain, record)), None)

    @staticmethod
    def _is_suffix(domain: str, record: DmarcRecord) -> bool:
        return record.suffix is True or (record.suffix is None and is_public_suffix(domain))


def steps(domain: str) -> tuple[str, ...]:
    """The domains that a walk asks, at most MAX_WALK: the domain, then its last seven labels and fewer."""
    labels = domain.split(".")
    above = labels[1:] if len(labels) < MAX_WALK else labels[-(MAX_WALK - 1) :]
    return (domain, *(".".join(above[number:]) for number in range(len(above))))


async def walk(domain: str, lookups: Lookups) -> Walk:
    """Ask for records up the tree until one says where the organisation ends; raises DnsTrouble."""
    found: list[tuple[str, DmarcRecord]] = []
    for step in steps(domain):
        record = choose_record((await lookups.ask(f"_dmarc.{step}", "TXT")).records)
        if record is not None:
            found.append((step, record))
            if record.suffix is not None:
                break
    return Walk(domain, tuple(found))


async def evaluate(author: str, spf: SpfResult, dkim: Iterable[DkimResult], lookups: Lookups) -> DmarcResult:
    """Judge a mail whose From has the domain `author`, in lower-case ASCII; never raises for what the DNS says.

    temperror where a look-up failed that could have changed the outcome (section 5.3.6); trouble with domains that
    have nothing to do with the author's does not count.
    """
    dkim = tuple(dkim)
    result = await _evaluate(author, spf, dkim, lookups)
    return replace(result, by=await _vouching(author, spf, dkim, lookups)) if result.aligned else result


async def _evaluate(author: str, spf: SpfResult, dkim: tuple[DkimResult, ...], lookups: Lookups) -> DmarcResult:
    try:
        own = choose_record((await lookups.ask(f"_dmarc.{author}", "TXT")).records)
        if own is not None and author in _passed(spf, dkim):
            # Nobody needs to know the organisation then (section 4.10.2).
            return DmarcResult(Dmarc.PASS, author, own.policy_for(below=False, exists=True), aligned=True)
        found = await walk(author, lookups)
        applying = found.applying
        policy = Policy.NONE if applying is None else await _policy(author, *applying, lookups)
    except DnsTrouble:
        return DmarcResult(Dmarc.TEMPERROR, author)
    record = applying[1] if applying else DmarcRecord()
    belonging = _Belonging(author, found.organisation, lookups)
    proofs = _proofs(spf, dkim, record)
    best = await belonging.best(proofs)
    if best is _Proof.TROUBLE:
        return DmarcResult(Dmarc.TEMPERROR, author, policy)
    aligned = best is _Proof.GOOD
    outcome = Dmarc.NONE if applying is None else Dmarc.PASS if aligned else Dmarc.FAIL
    return DmarcResult(outcome, author, policy, aligned)


async def _vouching(author: str, spf: SpfResult, dkim: tuple[DkimResult, ...], lookups: Lookups) -> tuple[str, ...]:
    """Which checks speak for the author's domain, when one does: a signature, or the server alone?

    A signature of another domain costs look-ups only where the two can be of one organisation. Alignment that the
    owner wants to be strict is not asked for here: the signature is of the organisation all the same.
    """
    signers = {each.domain for each in dkim if each.outcome is Dkim.PASS}
    signed = author in signers
    try:
        for signer in sorted(signers) if not signed else ():
            if _may_be_one(signer, author):
                organisation = (await walk(author, lookups)).organisation
                signed = signed or await _Belonging(author, organisation, lookups).joins(signer)
    except DnsTrouble:
        pass
    by_server = spf.outcome is Spf.PASS and (spf.domain == author or not signed)
    return ("dkim",) * signed + ("spf",) * by_server


def _may_be_one(domain: str, other: str) -> bool:
    """Whether two domains have their last two labels in common, as all of one organisation do."""
    return domain.split(".")[-2:] == other.split(".")[-2:]


async def _policy(author: str, domain: str, record: DmarcRecord, lookups: Lookups) -> Policy:
    below = domain != author
    exists = True
    if below and record.missing is not None:
        exists = (await lookups.ask(author, "A")).exists
    return record.policy_for(below=below, exists=exists)


def _passed(spf: SpfResult, dkim: Iterable[DkimResult]) -> set[str]:
    domains = {each.domain for each in dkim if each.outcome is Dkim.PASS}
    return domains | {spf.domain} if spf.outcome is Spf.PASS else domains


class _Proof(Enum):
    GOOD = "good"
    TROUBLE = "trouble"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class _Domain:
    """A domain that passed, or that might have with a DNS that answers."""

    name: str
    passed: bool
    strict: bool


def _proofs(spf: SpfResult, dkim: Iterable[DkimResult], record: DmarcRecord) -> list[_Domain]:
    # The greeting counts only where it stands for the null sender, and then it is what SPF checked.
    domains = [
        _Domain(each.domain, each.outcome is Dkim.PASS, record.strict_dkim)
        for each in dkim
        if each.outcome in (Dkim.PASS, Dkim.TEMPERROR)
    ]
    if spf.outcome in (Spf.PASS, Spf.TEMPERROR):
        domains.append(_Domain(spf.domain, spf.outcome is Spf.PASS, record.strict_spf))
    return domains


@dataclass(frozen=True, slots=True)
class _Belonging:
    """Which domains belong to the author's."""

    author: str
    organisation: str
    lookups: Lookups

    async def best(self, domains: list[_Domain]) -> _Proof:
        """GOOD when a passing one does; TROUBLE when that cannot be known."""
        if any(each.passed and each.name == self.author for each in domains):
            return _Proof.GOOD
        trouble = False
        for each in sorted(dict.fromkeys(domains), key=lambda domain: not domain.passed):
            try:
                belongs = await self._belongs(each)
            except DnsTrouble:
                trouble = True
                continue
            if belongs and each.passed:
                return _Proof.GOOD
            trouble = trouble or belongs
        return _Proof.TROUBLE if trouble else _Proof.NONE

    async def joins(self, domain: str) -> bool:
        """Whether a domain is of the author's organisation."""
        # Only a domain inside it can be.
        inside = domain == self.organisation or domain.endswith(f".{self.organisation}")
        return inside and (await walk(domain, self.lookups)).organisation == self.organisation

    async def _belongs(self, domain: _Domain) -> bool:
        return domain.name == self.author or (not domain.strict and await self.joins(domain.name))


def _below(suffix: str, domain: str) -> str:
    """The name one label below a suffix on the way to a domain."""
    labels = domain.removesuffix(f".{suffix}").split(".")
    return f"{labels[-1]}.{suffix}"
