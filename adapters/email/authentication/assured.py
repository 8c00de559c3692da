"""What the checks of a mail mean for whoever reads it: how sure, by what, and in words where it is not quite. Pure."""

from __future__ import annotations

from typing import Final

from adapters.email.authentication.decision import Assurance
from adapters.email.authentication.dkim_signature import is_domain
from adapters.email.authentication.results import Results
from adapters.email.authentication.trace import words
from gateway.sdk import Confidence, SenderAssurance

DKIM: Final = "dkim"
SPF: Final = "spf"
_METHODS: Final = {DKIM: "its signature (DKIM)", SPF: "the server that sent it (SPF)"}


def assured(why: Assurance, own: str, results: Results | None = None) -> SenderAssurance:
    """What the recipient is told of a mail; ``own`` is our mail domain, ``results`` None where nothing was checked."""
    checks = {} if results is None else words(results)
    if why is Assurance.LOGIN:
        return SenderAssurance(confidence=Confidence.PROVED, by=("login",), domain=own, checks=checks)
    if why is Assurance.LISTED:
        return SenderAssurance(confidence=Confidence.PROVED, by=("list",), domain=own, checks=checks)
    if why is Assurance.NONE or results is None:
        # The message says so itself, with the address that it claims.
        return SenderAssurance(confidence=Confidence.NONE, checks=checks)
    domain = _shown(results.dmarc.domain)
    if why is Assurance.FORWARDED:
        sealer = _shown(results.arc.sealer)
        reason = (
            f"This mail came through {sealer or 'a forwarder'}, which says that it is from {domain or 'its sender'}."
        )
        return SenderAssurance(
            confidence=Confidence.WEAK, by=("arc",), domain=sealer, checks=checks, reason=f"{reason} {_UNCHECKED}"
        )
    by = results.dmarc.by
    reason = _doubt(why, domain, by)
    confidence = Confidence.WEAK if reason else Confidence.PROVED
    return SenderAssurance(confidence=confidence, by=by, domain=domain, checks=checks, reason=reason)


_UNCHECKED: Final = "The gateway could not check that itself."


def _doubt(why: Assurance, domain: str, by: tuple[str, ...]) -> str:
    """Why a proof is not all that it could be; "" when it is."""
    name = domain or "its domain"
    if why is Assurance.ALIGNED:
        shown = " and ".join(_METHODS[each] for each in by if each in _METHODS) or "one check"
        return (
            f"The sender of this mail is only weakly verified: {shown} is of {name}, which does not say what is to be "
            "done with mail that is forged (no DMARC record)."
        )
    if by == (SPF,):
        return (
            f"The sender of this mail is only weakly verified: the server that sent it may send for {name} (SPF), and "
            "there is no valid signature (DKIM)."
        )
    return ""


def _shown(domain: str) -> str:
    return domain if is_domain(domain) else ""
