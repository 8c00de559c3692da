"""What the checks of a mail found, as values (words of RFC 8601, section 2.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Spf(StrEnum):
    """RFC 7208, section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - the word of the standard
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Dkim(StrEnum):
    """RFC 6376, section 3.9, in the words of RFC 8601, section 2.7.1."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    POLICY = "policy"
    """The signature is good and yet not enough: it leaves a part of the body out, or it is over."""
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Dmarc(StrEnum):
    """RFC 9989, in the words of RFC 7489, section 11.2."""

    NONE = "none"
    """The domain of From publishes nothing that applies."""
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TEMPERROR = "temperror"


class Arc(StrEnum):
    """RFC 8617, section 5.2."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TEMPERROR = "temperror"


class Policy(StrEnum):
    """What the owner of a domain wants done with mail that fails (RFC 9989, section 4.7)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class SpfResult:
    """May this client send for the domain of the envelope sender?"""

    outcome: Spf
    domain: str = ""
    """Domain of the envelope sender; of the greeting, where that is the null sender."""
    helo: bool = False
    """True where the greeting was checked."""


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature."""

    outcome: Dkim
    domain: str = ""
    selector: str = ""
    reason: str = ""
    """For people; words of ours only."""


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """Does some domain that was proved belong to the domain of From?"""

    outcome: Dmarc
    domain: str = ""
    """Domain of From."""
    policy: Policy = Policy.NONE
    """What applies to mail that fails."""
    aligned: bool = False
    """True when a passing SPF or DKIM domain belongs to the domain of From, record or none."""
    by: tuple[str, ...] = ()
    """What passed for such a domain, DKIM first; SPF beside it where no further look-up is needed to know."""


@dataclass(frozen=True, slots=True)
class ArcResult:
    """What forwarders say that they saw."""

    outcome: Arc
    sealer: str = ""
    """Domain of the last seal."""
    vouches: bool = False
    """True when a sealer whom the operator lists saw DMARC pass for the domain of From."""


@dataclass(frozen=True, slots=True)
class Results:
    """All of it for one mail."""

    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult
    arc: ArcResult = ArcResult(Arc.NONE)
    trusted: bool = False
    """True when SPF or more was taken from a server of ours in front."""
