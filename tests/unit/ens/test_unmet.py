"""Sentences for people, and amounts that never look like more than there is."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.unmet import RuleKind, Unmet, ether
from gateway.ids import EthAddress

COIN = EthAddress("0x" + "c0" * 20)


@pytest.mark.parametrize(
    ("unmet", "sentence"),
    [
        (
            Unmet(RuleKind.BALANCE, 10**17, 2 * 10**16),
            "needs a balance of at least 0.1 ETH, and has 0.02",
        ),
        (Unmet(RuleKind.BALANCE, 10**18, 0), "needs a balance of at least 1 ETH, and has none"),
        (Unmet(RuleKind.NONCE, 1, 0), "needs at least 1 sent transaction, and has none"),
        (Unmet(RuleKind.NONCE, 5, 2), "needs at least 5 sent transactions, and has 2"),
        (
            Unmet(RuleKind.TOKEN_BALANCE, 1_000_000, 12, COIN),
            f"needs at least 1000000 smallest units of the token {COIN}, and has 12",
        ),
        (
            Unmet(RuleKind.OWNS_TOKEN, 1, 0, COIN),
            f"needs at least 1 token of the collection {COIN}, and has none",
        ),
        (
            Unmet(RuleKind.OWNS_TOKEN, 3, 2, COIN),
            f"needs at least 3 tokens of the collection {COIN}, and has 2",
        ),
        (
            Unmet(RuleKind.OWNS_TOKEN, 2, 1, COIN, 0),
            f"needs at least 2 of the token 0 of the collection {COIN}, and has 1",
        ),
        (
            Unmet(RuleKind.STAKE, 5 * 10**17, 1, COIN),
            f"needs a deposit of at least 0.5 ETH in the contract {COIN}, and has 0.000000000000000001",
        ),
    ],
)
def test_sentences(unmet: Unmet, sentence: str) -> None:
    assert unmet.sentence == sentence


@given(st.integers(0, 2**256 - 1))
def test_ether_is_exact(wei: int) -> None:
    shown = ether(wei)
    assert "E" not in shown
    whole, _, rest = shown.partition(".")
    assert int(whole) * 10**18 + int(rest.ljust(18, "0")) == wei
    assert not rest.endswith("0")


@given(st.integers(1, 10**30), st.data())
def test_too_little_never_looks_like_enough(required: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(1, required - 1)) if required > 1 else 0
    sentence = Unmet(RuleKind.BALANCE, required, found).sentence
    asked, has = sentence.removeprefix("needs a balance of at least ").split(" ETH, and has ")
    if found:
        with localcontext(prec=100):
            assert 0 < Decimal(has) <= Decimal(found).scaleb(-18) < Decimal(asked)
    else:
        assert has == "none"


def test_every_kind_has_a_sentence() -> None:
    for kind in RuleKind:
        assert Unmet(kind, 2, 1, COIN).sentence.startswith("needs ")
