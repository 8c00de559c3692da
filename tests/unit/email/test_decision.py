"""The table that says whose sub-name may speak, row by row, and that no row is skipped by what stands beside it."""

from __future__ import annotations

from itertools import product

import pytest

from adapters.email import replies
from adapters.email.authentication.decision import (
    Assurance,
    Rules,
    Unverified,
    WithoutDmarc,
    decide,
    decide_bounce,
)
from adapters.email.authentication.results import (
    Arc,
    ArcResult,
    Dmarc,
    DmarcResult,
    Policy,
    Results,
    Spf,
    SpfResult,
)
from adapters.email.replies import Reply

DEFAULT = Rules()
SHARED = Rules(Unverified.SHARED)
STRICT = Rules(without_dmarc=WithoutDmarc.REJECT)
KNOWN = Rules(without_dmarc=WithoutDmarc.KNOWN)


def found(
    outcome: Dmarc, policy: Policy = Policy.NONE, *, aligned: bool = False, arc: Arc = Arc.NONE, vouches: bool = False
) -> Results:
    return Results(
        SpfResult(Spf.NONE), (), DmarcResult(outcome, "example.org", policy, aligned), ArcResult(arc, "", vouches)
    )


PASS = found(Dmarc.PASS, Policy.REJECT, aligned=True)
REJECT = found(Dmarc.FAIL, Policy.REJECT)
QUARANTINE = found(Dmarc.FAIL, Policy.QUARANTINE)
MONITOR = found(Dmarc.FAIL, Policy.NONE)
ALIGNED = found(Dmarc.NONE, aligned=True)
NOTHING = found(Dmarc.NONE)
TEMPERROR = found(Dmarc.TEMPERROR, Policy.REJECT)


@pytest.mark.parametrize(
    ("results", "rules", "known", "answer"),
    [
        (PASS, DEFAULT, False, Assurance.DMARC),
        (PASS, STRICT, False, Assurance.DMARC),
        (REJECT, DEFAULT, True, replies.DMARC_FAILED),
        (REJECT, SHARED, True, replies.DMARC_FAILED),
        (QUARANTINE, DEFAULT, True, replies.DMARC_FAILED),
        (QUARANTINE, SHARED, True, Assurance.NONE),
        (MONITOR, DEFAULT, True, replies.DMARC_FAILED),
        (MONITOR, SHARED, True, Assurance.NONE),
        (ALIGNED, DEFAULT, False, Assurance.ALIGNED),
        (ALIGNED, KNOWN, True, Assurance.ALIGNED),
        (ALIGNED, KNOWN, False, replies.NO_DMARC_RECORD),
        (ALIGNED, STRICT, True, replies.NO_DMARC_RECORD),
        (ALIGNED, Rules(Unverified.SHARED, WithoutDmarc.REJECT), True, Assurance.NONE),
        (NOTHING, DEFAULT, True, replies.NOT_AUTHENTICATED),
        (NOTHING, SHARED, True, Assurance.NONE),
        (TEMPERROR, DEFAULT, True, replies.AUTHENTICATION_DOWN),
        (TEMPERROR, SHARED, True, replies.AUTHENTICATION_DOWN),
        (found(Dmarc.FAIL, Policy.REJECT, arc=Arc.PASS, vouches=True), DEFAULT, False, Assurance.FORWARDED),
        (found(Dmarc.NONE, arc=Arc.PASS, vouches=True), DEFAULT, False, Assurance.FORWARDED),
        (found(Dmarc.FAIL, Policy.REJECT, arc=Arc.PASS), DEFAULT, True, replies.DMARC_FAILED),
        (found(Dmarc.FAIL, Policy.REJECT, arc=Arc.FAIL), DEFAULT, True, replies.DMARC_FAILED),
        (found(Dmarc.FAIL, Policy.REJECT, arc=Arc.TEMPERROR), DEFAULT, True, replies.AUTHENTICATION_DOWN),
        (found(Dmarc.TEMPERROR, arc=Arc.PASS, vouches=True), DEFAULT, True, replies.AUTHENTICATION_DOWN),
    ],
)
def test_each_row(results: Results, rules: Rules, known: bool, answer: Assurance | Reply) -> None:
    assert decide(results, rules, known=known) == answer


def test_nobody_is_named_without_a_proof() -> None:
    """Whatever the settings: a named sender takes an aligned pass or a listed forwarder's word, and no temperror."""
    named = {Assurance.DMARC, Assurance.ALIGNED, Assurance.FORWARDED}
    for outcome, policy, aligned, vouches, arc, unverified, without, known in product(
        Dmarc, Policy, (True, False), (True, False), Arc, Unverified, WithoutDmarc, (True, False)
    ):
        if aligned is (outcome is Dmarc.FAIL) or (outcome is Dmarc.PASS) > aligned or vouches > (arc is Arc.PASS):
            continue  # not what the checks can find
        results = found(outcome, policy, aligned=aligned, arc=arc, vouches=vouches)
        answer = decide(results, Rules(unverified, without), known=known)
        if outcome is Dmarc.TEMPERROR:
            assert answer == replies.AUTHENTICATION_DOWN
        elif not aligned and not vouches:
            assert answer not in named
        if isinstance(answer, Reply):
            assert answer.code == (451 if answer is replies.AUTHENTICATION_DOWN else 550)
        if answer is Assurance.NONE:
            assert unverified is Unverified.SHARED
            assert (outcome, policy) != (Dmarc.FAIL, Policy.REJECT)


@pytest.mark.parametrize(
    ("results", "reply"),
    [
        (PASS, None),
        (NOTHING, None),
        (ALIGNED, None),
        (MONITOR, None),
        (REJECT, replies.DMARC_FAILED),
        (QUARANTINE, replies.DMARC_FAILED),
        (TEMPERROR, replies.AUTHENTICATION_DOWN),
    ],
)
def test_bounces(results: Results, reply: Reply | None) -> None:
    assert decide_bounce(results) == reply
