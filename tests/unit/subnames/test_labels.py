"""Labels that are given out, and what they look like."""

from __future__ import annotations

import importlib.metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.names import normalise
from gateway.errors import GatewayError, InvalidName, NameRefused
from gateway.ids import EnsName
from gateway.subnames.labels import LabelRules, check_label, label_of, read_claimed, warnings
from gateway.subnames.skeleton import letters, skeleton

GW = EnsName("gw.eth")
RULES = LabelRules(blocked=frozenset({"paypal"}))

# What somebody would register to be taken for vitalik, admin, support, paypal, matrix, binance, metamask, coinbase.
LOOK_ALIKES = [
    *("vita1ik", "vitaiik", "vitаlik", "νitalik", "vıtalik", "vitalík", "vítalik", "vitalik\u200d", "vitali\u212a"),
    *("аdmin", "adm1n", "adrnin", "admın", "admіn", "ádmin", "ɑdmin", "admin\u200b", "αdmin"),
    *("suppоrt", "supp0rt", "suрport", "śupport", "ѕupport", "supporτ"),
    *("раураl", "paypa1", "pаypal", "paypaӏ", "páypal", "ρaypal", "payраl"),
    *("rnatrix", "matrіx", "mаtrix", "matrıx", "rmatrix", "mátrix"),
    *("bіnance", "coіnbase", "metаmask"),
]
TARGETS = frozenset({"vitalik", "admin", "support", "paypal", "matrix", "binance", "metamask", "coinbase"})


@pytest.mark.attack(19)
@pytest.mark.parametrize("label", LOOK_ALIKES)
def test_forty_look_alikes(label: str) -> None:
    """Each is refused by ENSIP-15, or folded by it into the plain name, or has the skeleton of what it imitates."""
    try:
        normal = normalise(f"{label}.gw.eth").removesuffix(".gw.eth")
    except InvalidName:
        return
    if normal in TARGETS:
        with pytest.raises(InvalidName, match="write it as"):
            read_claimed(label, GW)
        return
    others = {skeleton(target) for target in TARGETS}
    near = {target for target in TARGETS if _distance_one(normal, target)}
    assert skeleton(normal) in others or near, label


def _distance_one(one: str, other: str) -> bool:
    """One letter more, or another one: what no table can tell from an honest name."""
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) <= 1
    return other in one and len(one) == len(other) + 1


@pytest.mark.attack(19)
def test_the_library_of_unicode_s_forms_is_one_that_works() -> None:
    """Version 18 of it breaks every name beyond ASCII in the libraries that use it."""
    assert int(importlib.metadata.version("pyunormalize").split(".")[0]) < 18
    assert normalise("BÜCHER.eth") == "bücher.eth"


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("paypa1", "paypal"),
        ("páypal", "paypal"),
        ("g00gle", "google"),
        ("жизнь", "жизнь".replace("н", "h").replace("ь", "b")),
        ("straße", "strasse"),
        ("東京", "東京"),
        ("💩", "💩"),
    ],
)
def test_letters(label: str, bare: str) -> None:
    assert letters(label) == bare


def test_pairs_of_letters() -> None:
    assert skeleton("rnike") == skeleton("mike") == "mike"
    assert skeleton("vvallet") == "wallet"
    assert skeleton("clara") == skeleton("dara")
    assert letters("rnike") != letters("mike")


@given(st.text(max_size=30))
def test_a_skeleton_has_itself_as_skeleton(text: str) -> None:
    assert letters(letters(text)) == letters(text)


@pytest.mark.parametrize("label", ["bob", "a-b", "b0b", "jörg", "ξένοι", "東京駅", "x" * 63, "2024", "ds1"])
def test_labels_that_are_given_out(label: str) -> None:
    assert check_label(normalise(f"{label}.gw.eth"), GW, RULES) == label


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("ab", "at least 3"),
        ("x" * 64, "at most 63 bytes"),
        ("東" * 22, "at most 63 bytes"),
        ("ds", "at least 3"),
        ("www", "reserved"),
        ("email", "reserved"),
        ("emai1", "looks like email"),
        ("adrnin", "looks like admin"),
        ("postmaster", "reserved"),
        ("mypaypal", "not given out"),
        ("paypa1-help", "not given out"),
        ("faß", "older clients"),
        ("👨‍👩‍👧", "older clients"),
        ("-bob", "older clients"),
        ("bob-", "older clients"),
    ],
)
def test_labels_that_are_not(label: str, reason: str) -> None:
    with pytest.raises(NameRefused, match=reason):
        check_label(normalise(f"{label}.gw.eth"), GW, RULES)


def test_an_operator_may_allow_more() -> None:
    rules = LabelRules(min_length=1, reserved=frozenset(), beyond_nameprep=True)
    for label in ("a", "admin", "faß"):
        assert check_label(EnsName(f"{label}.gw.eth"), GW, rules) == label
    with pytest.raises(NameRefused, match="reserved"):
        check_label(EnsName("ds.gw.eth"), GW, rules)


@pytest.mark.parametrize("name", ["a.b.gw.eth", "gw.eth", "bob.eth", "bob.other.eth", "bobgw.eth"])
def test_one_label_directly_below(name: str) -> None:
    with pytest.raises(NameRefused, match="directly below"):
        label_of(EnsName(name), GW)


@pytest.mark.parametrize("text", ["bob", "bob.gw.eth"])
def test_a_label_or_the_whole_name(text: str) -> None:
    assert read_claimed(text, GW) == "bob.gw.eth"


@pytest.mark.parametrize("text", ["Bob", "bob.GW.eth", "ＢＯＢ", "bob.", ".bob", "", "bo b", "a" * 300, "\ud800"])
def test_nothing_is_folded_in_silence(text: str) -> None:
    with pytest.raises(InvalidName):
        read_claimed(text, GW)


@given(st.text(max_size=20))
def test_whatever_is_wanted_is_a_name_of_ours_or_refused(text: str) -> None:
    try:
        name = read_claimed(text, GW)
        label = check_label(name, GW, RULES)
    except GatewayError as error:
        assert error.status in (400, 403)
        return
    assert name == f"{label}.gw.eth" == normalise(name)
    assert "." not in label


def test_warnings() -> None:
    assert warnings("bob") == ()
    assert warnings("2024") == ()
    assert len(warnings("b0b")) == 1
    assert len(warnings("rn0é")) == 3
