"""Whose sub-name may speak: the table that turns what was found about a mail into an answer. Pure.

| found | who is the sender on the DM3 side |
|---|---|
| a look-up that matters failed | nobody: 451, whatever the others say |
| DMARC pass | whom From names |
| a listed forwarder saw DMARC pass (ARC) | whom From names |
| DMARC fail, p=reject | nobody: 550 |
| DMARC fail, p=quarantine | nobody: 550; or the shared sender |
| no DMARC record, aligned SPF or DKIM pass | whom From names, less assured; the operator may ask for more |
| nothing aligned | nobody: 550; or the shared sender |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from adapters.email import replies
from adapters.email.authentication.results import Arc, Dmarc, Policy, Results
from adapters.email.replies import Reply


class Assurance(StrEnum):
    """Why a sender is believed, best first."""

    LOGIN = "login"
    """Logged in here, with this address among theirs."""
    LISTED = "listed"
    """On the operator's list, from one of the operator's networks."""
    DMARC = "dmarc"
    FORWARDED = "forwarded"
    """By the word of a forwarder whom the operator lists."""
    ALIGNED = "aligned"
    """SPF or DKIM of the same domain, which says nothing about mail that fails."""
    NONE = "none"
    """Not believed: the shared sender speaks, and says so."""


class Senders(StrEnum):
    """Who may send without log-in."""

    AUTHENTICATED = "authenticated"
    LISTED = "listed"


class Unverified(StrEnum):
    """What becomes of mail from nobody whom anything vouches for."""

    REJECT = "reject"
    SHARED = "shared"
    """It comes from one sender for all of them, with the address as text."""


class WithoutDmarc(StrEnum):
    """Whose sub-name may speak by SPF or DKIM alone, where the domain has no DMARC record."""

    ACCEPT = "accept"
    KNOWN = "known"
    """Those who have one already."""
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides."""

    unverified: Unverified = Unverified.REJECT
    without_dmarc: WithoutDmarc = WithoutDmarc.ACCEPT


def decide(results: Results, rules: Rules, *, known: bool) -> Assurance | Reply:
    """How far the sender is believed, or the reply that refuses the mail; `known`: From has a sub-name already."""
    dmarc, arc = results.dmarc, results.arc
    if dmarc.outcome is Dmarc.TEMPERROR:
        return replies.AUTHENTICATION_DOWN
    if dmarc.outcome is Dmarc.PASS:
        return Assurance.DMARC
    if dmarc.outcome is Dmarc.NONE and dmarc.aligned and _may_speak(rules, known=known):
        return Assurance.ALIGNED
    if arc.vouches:
        return Assurance.FORWARDED
    if arc.outcome is Arc.TEMPERROR:
        return replies.AUTHENTICATION_DOWN
    if dmarc.outcome is Dmarc.FAIL and dmarc.policy is Policy.REJECT:
        return replies.DMARC_FAILED
    if rules.unverified is Unverified.SHARED:
        return Assurance.NONE
    if dmarc.outcome is Dmarc.FAIL:
        return replies.DMARC_FAILED
    return replies.NO_DMARC_RECORD if dmarc.aligned else replies.NOT_AUTHENTICATED


def decide_bounce(results: Results) -> Reply | None:
    """The reply that refuses a bounce, or None: it cannot speak for anybody, but it must not be forged either."""
    if results.dmarc.outcome is Dmarc.TEMPERROR:
        return replies.AUTHENTICATION_DOWN
    forged = results.dmarc.outcome is Dmarc.FAIL and results.dmarc.policy is not Policy.NONE
    return replies.DMARC_FAILED if forged else None


def _may_speak(rules: Rules, *, known: bool) -> bool:
    return rules.without_dmarc is WithoutDmarc.ACCEPT or (rules.without_dmarc is WithoutDmarc.KNOWN and known)
