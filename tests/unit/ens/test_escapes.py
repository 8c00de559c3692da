"""Names of bridged people: golden vectors, reversibility, injectivity, and what is nobody's name."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from ens_normalize import ens_normalize
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.canonical import EMAIL, MATRIX, XMPP, canonical_id
from gateway.ens.escapes import bridged_name, parse_bridged_name, person_labels
from gateway.ens.names import MAX_NAME_BYTES, nameprep_safe
from gateway.errors import InvalidInput, UnknownName
from gateway.ids import CanonicalId, EnsName, Network

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/identity/bridged_names.json").read_text())
PARENT = EnsName("gw.eth")
LOCAL = st.text(alphabet=st.characters(codec="utf-8", exclude_characters=":\0"), min_size=1, max_size=60)
SERVER = st.from_regex(r"[a-zA-Z0-9-]{1,12}(\.[a-z0-9-]{1,30}){0,3}(:[0-9]{2,4})?", fullmatch=True)


@pytest.mark.parametrize("row", VECTORS["people"], ids=lambda row: ascii(row["address"])[:40])
def test_golden_vectors(row: dict[str, str]) -> None:
    network = Network(row["network"])
    canonical = canonical_id(network, row["address"])
    assert canonical == row["canonical_id"]
    name = bridged_name(network, canonical, EnsName(VECTORS["parent"]))
    assert name == row["name"]
    parsed = parse_bridged_name(name, EnsName(VECTORS["parent"]))
    assert parsed.network == network
    assert parsed.digest == row["digest"]
    assert parsed.canonical_id == (None if row["digest"] else canonical)


def test_examples_of_the_design() -> None:
    assert bridged_name(MATRIX, CanonicalId("@bob:example.org"), PARENT) == "bob.example.org.matrix.gw.eth"
    assert bridged_name(EMAIL, CanonicalId("bob.smith@example.org"), PARENT) == "bob-2esmith.example.org.email.gw.eth"
    assert bridged_name(XMPP, CanonicalId("bob@jabber.org"), PARENT) == "bob.jabber.org.xmpp.gw.eth"


def _people(count: int) -> set[tuple[Network, CanonicalId]]:
    """Ids as they occur and ids that aim at each other's escapes."""
    chance = random.Random(0)
    pieces = [*"ab.-_=+/ZÉß💩 ", "0-x", "-2d", "-41", "-z", "a" * 26, "-3a", "x41", "%", "0", "2d"]
    hosts = ["a", "b-2d", "x.y", "x-2ey", "a-3a1", "0-x41", "q" * 64, "q-z" + "b" * 26, "n-1", "xn--a", "r" * 40 + ".s"]
    people: set[tuple[Network, CanonicalId]] = set()
    while len(people) < count:
        local = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 9)))
        host = ".".join(chance.choice(hosts) for _ in range(chance.randint(1, 3))) + ".org"
        network = chance.choice((MATRIX, MATRIX, XMPP, EMAIL))
        port = chance.choice(("", "", ":1", ":8448"))
        text = f"@{local}:{host}{port}" if network == MATRIX else f"{local}@{host}"
        try:
            people.add((network, canonical_id(network, text)))
        except InvalidInput:
            continue
    return people


@pytest.mark.attack(20)
def test_a_hundred_thousand_people_have_a_name_each() -> None:
    people = _people(100_000)
    names: set[EnsName] = set()
    for network, canonical in people:
        name = bridged_name(network, canonical, PARENT)
        names.add(name)
        parsed = parse_bridged_name(name, PARENT)
        assert parsed.network == network
        assert parsed.canonical_id == canonical if parsed.digest is None else parsed.canonical_id is None
    assert len(names) == len(people)


@given(LOCAL, SERVER)
def test_any_matrix_user(local: str, server: str) -> None:
    try:
        canonical = canonical_id(MATRIX, f"@{local}:{server}")
    except InvalidInput:
        return
    name = bridged_name(MATRIX, canonical, PARENT)
    assert ens_normalize(name) == name
    assert nameprep_safe(name)
    assert len(name) <= MAX_NAME_BYTES
    assert all(1 <= len(label) <= 63 for label in name.split("."))
    parsed = parse_bridged_name(name, PARENT)
    assert parsed.canonical_id == canonical or parsed.digest is not None
    # A server may be called 0-z; only -z with a digest behind it is ours.
    digest = re.compile(r"-z[a-z2-7]{26}\Z")
    assert (parsed.digest is None) == (not any(map(digest.search, person_labels(MATRIX, canonical))))


def test_a_name_that_would_be_too_long_has_one_label() -> None:
    server = ".".join(["s" * 60] * 3) + "." + "t" * 30
    parent = EnsName("a-rather-long-parent.of-a-gateway.example.eth")
    canonical = canonical_id(MATRIX, f"@bob:{server}")
    name = bridged_name(MATRIX, canonical, parent)
    assert name.removesuffix(f".matrix.{parent}").count(".") == 0
    assert name.startswith("bob-z")
    parsed = parse_bridged_name(name, parent)
    assert (parsed.canonical_id, len(parsed.digest or "")) == (None, 26)
    other = bridged_name(MATRIX, canonical_id(MATRIX, f"@bob:{server}x"), parent)
    assert other != name


@pytest.mark.parametrize(
    "name",
    [
        "gw.eth",
        "matrix.gw.eth",
        "bob.gw.eth",
        "bob.matrix.gw.eth",  # no server
        "bob.example.org.matrix.other.eth",
        "bob.example.org.matrix.xgw.eth",
        "-41lice.example.org.matrix.gw.eth",
        "bob-62.example.org.matrix.gw.eth",
        "b-ff.example.org.matrix.gw.eth",
        "0-x41lice.example.org.email.gw.eth",  # canonical mail addresses are in lower case
        "0-x42ob.jabber.org.xmpp.gw.eth",
        "bob.xn-2d-2dmnchen-2d3ya.de.xmpp.gw.eth",  # canonical JIDs have their domain in Unicode
        "bob.m-c3-bcnchen.de.email.gw.eth",  # canonical mail addresses have it in ASCII
        "a-3ab.example.org.matrix.gw.eth",
        "bob.x-3ay.org.matrix.gw.eth",  # a port that is no number
        "bob.0-x2d.org.email.gw.eth",
        "b-z" + "a" * 26 + ".x-z" + "b" * 26 + ".matrix.gw.eth",
    ],
)
def test_nobodys_name(name: str) -> None:
    with pytest.raises(UnknownName):
        parse_bridged_name(EnsName(name), PARENT)


@pytest.mark.attack(20)
@given(st.from_regex(r"([a-z0-9-]{1,12}\.){1,4}(matrix|xmpp|email)\.gw\.eth", fullmatch=True))
def test_any_name_is_of_one_person_or_of_nobody(name: str) -> None:
    try:
        parsed = parse_bridged_name(EnsName(name), PARENT)
    except UnknownName:
        return
    if parsed.canonical_id is not None:
        assert bridged_name(parsed.network, parsed.canonical_id, PARENT) == name


@pytest.mark.parametrize("text", ["Bob@example.org", "bob@Example.org", '"bob"@example.org', "bob"])
def test_only_canonical_ids_get_a_name(text: str) -> None:
    with pytest.raises(InvalidInput):
        bridged_name(EMAIL, CanonicalId(text), PARENT)
