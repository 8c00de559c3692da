"""Addresses: read within bounds, one for each name, and none for what a server would fold into another one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Ids, Jid, canonical
from gateway.sdk import EnsName, InvalidInput
from gateway.sdk.addresses import Alias, normalise
from tests.unit.xmpp.stanza_texts import IDS

LETTERS = "abcxyz019-ßéξςא中日ふ🦊🚀👍ÿøł"


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("bob@example.org", Jid("bob", "example.org")),
        ("bob@Example.ORG/Tele Phone", Jid("bob", "example.org", "Tele Phone")),
        ("example.org", Jid("", "example.org")),
        ("example.org.", Jid("", "example.org")),
        ("example.org/a@b/c", Jid("", "example.org", "a@b/c")),
        ("Bob@bücher.example/🦊", Jid("Bob", "bücher.example", "🦊")),
        ("a" * 1023 + "@" + "b" * 1023 + "/" + "c" * 1023, Jid("a" * 1023, "b" * 1023, "c" * 1023)),
    ],
)
def test_an_address_is_read(text: str, jid: Jid) -> None:
    assert Jid.parse(text) == jid
    assert Jid.parse(str(jid)) == jid
    assert jid.bare == Jid(jid.local, jid.domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@example.org",
        "bob@",
        "bob@example.org/",
        "/phone",
        "a b@example.org",
        "bob@exa mple.org",
        "bob@a@b",
        "bob@.example",
        "bob@a..b",
        "bob'@example.org",
        "bob\x00@example.org",
        "bob@example.org/\n",
        "\ud800@example.org",
        "a" * 1024 + "@example.org",
        "ß" * 512 + "@example.org",
        "bob@example.org/" + "c" * 1024,
        "x" * 4000,
        ".",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadStanza) as caught:
        Jid.parse(text)
    assert caught.value.condition is Condition.JID_MALFORMED


@given(st.text(max_size=40) | st.text(st.sampled_from("ab@/.: \0é"), max_size=12))
def test_reading_an_address_fails_in_one_way_only(text: str) -> None:
    try:
        jid = Jid.parse(text)
    except BadStanza:
        return
    assert Jid.parse(str(jid)) == jid


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("Bob@Example.org/phone", "bob@example.org"),
        ("straße@example.org", "straße@example.org"),
        ("bob@xn--bcher-kva.example", "bob@bücher.example"),
    ],
)
def test_a_person_has_one_canonical_id(text: str, person: str) -> None:
    assert canonical(Jid.parse(text)) == person


def test_a_server_is_no_person() -> None:
    with pytest.raises(BadStanza, match="jid-malformed"):
        canonical(Jid("", "example.org"))


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("alice.eth", "alice.eth"),
        ("straße.eth", "xn--strae-oqa.eth"),
        ("faß.eth", "xn--fa-hia.eth"),
        ("ξένος.eth", "xn--ixa6abgp.eth"),
        ("🦊.eth", "xn--9s9h.eth"),
        ("a.b-c.eth", "a.b-c.eth"),
    ],
)
def test_a_name_has_an_address_of_ascii(name: str, local: str) -> None:
    jid, digest = IDS.ghost(normalise(name))
    assert (jid, digest) == (Jid(local, "dm3.example"), False)
    assert IDS.named_by(jid) == normalise(name)


@given(st.lists(st.text(st.sampled_from(LETTERS), min_size=1, max_size=12), min_size=1, max_size=4))
@settings(max_examples=300)
def test_every_name_has_one_address_and_every_address_one_name(labels: list[str]) -> None:
    try:
        name = normalise(".".join(labels))
    except InvalidInput:
        return
    jid, digest = IDS.ghost(name)
    assert str(jid).isascii()
    assert str(jid) == str(jid).lower()
    assert not digest
    assert Jid.parse(str(jid)) == jid
    assert IDS.named_by(jid) == name
    assert IDS.named_by(Jid(jid.local, jid.domain, "any resource")) == name


def test_a_name_that_looks_like_a_digest_has_a_digest_for_its_address() -> None:
    jid, digest = IDS.ghost(EnsName("a-" + "a" * 26))
    assert digest
    assert IDS.named_by(jid) == Alias(jid.local)


@pytest.mark.parametrize("local", ["straße.eth", "faß.eth", "ξένος.eth", "1️⃣.eth", "🦊.eth", "א.eth", "ａlice.eth"])
def test_raw_text_outside_ascii_is_refused(local: str) -> None:
    with pytest.raises(BadStanza) as caught:
        IDS.named_by(Jid(local, "dm3.example"))
    assert caught.value.condition is Condition.JID_MALFORMED


@pytest.mark.parametrize(
    ("local", "domain"),
    [
        ("", "dm3.example"),
        ("alice.eth", "example.org"),
        ("xn--zzzzzzzz.eth", "dm3.example"),
        ("xn--alice-.eth", "dm3.example"),
        ("alice..eth", "dm3.example"),
        ("al_ice.eth", "dm3.example"),
        ("bob\\40example.org", "dm3.example"),
        ("a--b--c%", "dm3.example"),
        ("a" * 256 + ".eth", "dm3.example"),
    ],
)
def test_an_address_that_no_name_is_written_as_is_nobody(local: str, domain: str) -> None:
    with pytest.raises(BadStanza) as caught:
        IDS.named_by(Jid(local, domain))
    assert caught.value.condition is Condition.ITEM_NOT_FOUND


def test_capitals_of_ascii_are_the_same_address() -> None:
    """Servers fold them by rule, but not all before they pass them on."""
    assert IDS.named_by(Jid("ALICE.eth", "dm3.example")) == "alice.eth"
    assert IDS.named_by(Jid("XN--STRAE-OQA.eth", "dm3.example")) == "straße.eth"


def test_whose_an_address_is() -> None:
    assert IDS.is_ours(IDS.gateway)
    assert IDS.is_ours(Jid.parse("alice.eth@DM3.example"))
    assert not IDS.is_ours(Jid("alice.eth", "sub.dm3.example"))
    assert Ids("x.example").gateway == Jid("", "x.example")


@given(st.text(max_size=30))
def test_a_random_local_part_is_a_name_an_alias_or_nobody(local: str) -> None:
    try:
        name = IDS.named_by(Jid(local, "dm3.example"))
    except BadStanza:
        return
    if not isinstance(name, Alias):
        jid, _ = IDS.ghost(name)
        assert jid.local == local.lower()
