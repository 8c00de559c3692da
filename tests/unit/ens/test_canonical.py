"""Canonical ids of Matrix, XMPP and e-mail: one spelling a person, no spelling for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens import canonical
from gateway.errors import InvalidInput
from gateway.ids import Network

NETWORKS = (canonical.MATRIX, canonical.XMPP, canonical.EMAIL, Network("irc"))


@pytest.mark.attack(22)
@pytest.mark.parametrize(
    ("network", "text", "expected"),
    [
        ("matrix", "@bob:example.org", "@bob:example.org"),
        ("matrix", "@Bob:example.org", "@Bob:example.org"),
        ("matrix", "@bob:example.org:8448", "@bob:example.org:8448"),
        ("matrix", "@bob:[2001:db8::1]:8448", "@bob:[2001:db8::1]:8448"),
        ("matrix", "@bo b/:example.org", "@bo b/:example.org"),
        ("xmpp", "Bob@Jabber.org/phone/2", "bob@jabber.org"),
        ("xmpp", "bob@xn--mnchen-3ya.de", "bob@münchen.de"),
        ("xmpp", "bob@MÜNCHEN.de", "bob@münchen.de"),
        ("xmpp", "straße@jabber.org", "straße@jabber.org"),
        ("xmpp", "ＢＯＢ@jabber.org", "bob@jabber.org"),
        ("xmpp", "bob@[::1]", "bob@[::1]"),
        ("email", "Bob.Smith@Example.ORG", "bob.smith@example.org"),
        ("email", '"bob"@example.org', "bob@example.org"),
        ("email", '"b\\o\\b"@example.org', "bob@example.org"),
        ("email", '"bob smith"@example.org', '"bob smith"@example.org'),
        ("email", '"a\\"b"@example.org', '"a\\"b"@example.org'),
        ("email", '"a@b"@example.org', '"a@b"@example.org'),
        ("email", "foo..bar@example.org", '"foo..bar"@example.org'),
        ("email", "JÖRG@münchen.de", "jörg@xn--mnchen-3ya.de"),
        ("email", "jo\u0308rg@x.de", "jörg@x.de"),
        ("email", "bob@faß.de", "bob@xn--fa-hia.de"),
        ("email", "bob@xn--ls8h.la", "bob@xn--ls8h.la"),
        ("irc", "Bob", "Bob"),
    ],
)
def test_canonical_form(network: str, text: str, expected: str) -> None:
    assert canonical.canonical_id(Network(network), text) == expected
    assert canonical.canonical_id(Network(network), expected) == expected


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("matrix", ""),
        ("matrix", "bob:example.org"),
        ("matrix", "@bob"),
        ("matrix", "@:example.org"),
        ("matrix", "@bob:"),
        ("matrix", "@bob:a..b"),
        ("matrix", "@bob:example.org."),
        ("matrix", "@bob:exa mple.org"),
        ("matrix", "@bob:example.org:port"),
        ("matrix", "@bob:example.org:8448:1"),
        ("matrix", "@bo\0b:example.org"),
        ("matrix", "@bob:exämple.org"),
        ("matrix", "@" + "a" * 250 + ":x.org"),
        ("matrix", "@\ud800:x.org"),
        ("xmpp", "jabber.org"),
        ("xmpp", "@jabber.org"),
        ("xmpp", "bob@"),
        ("xmpp", "bob@a@b"),
        ("xmpp", "b'ob@jabber.org"),
        ("xmpp", "b ob@jabber.org"),
        ("xmpp", "b\u3000ob@jabber.org"),
        ("xmpp", "b\u200bob@jabber.org"),
        ("xmpp", "b\nob@jabber.org"),
        ("xmpp", "bob@ja_bber.org"),
        ("xmpp", "bob@-x.org"),
        ("xmpp", "a" * 1024 + "@x.org"),
        ("email", "example.org"),
        ("email", "@example.org"),
        ("email", "bob@"),
        ("email", "bob@example..org"),
        ("email", "bob@[127.0.0.1]"),
        ("email", "bob@exa mple.org"),
        ("email", "b ob@example.org"),
        ("email", "a@b@example.org"),
        ("email", '"bob@example.org'),
        ("email", '"bo"b"@example.org'),
        ("email", '""@example.org'),
        ("email", 'bo"b@example.org'),
        ("email", '"bo\nb"@example.org'),
        ("email", '"bo\\\nb"@example.org'),
        ("email", "bo\rb@example.org"),
        ("email", "x" * 65 + "@example.org"),
        ("email", "bob@" + "a" * 250 + ".org"),
        ("email", "bob@💩.la"),
        ("email", "bo\u202eb@example.org"),
        ("email", "a" * 1_000_000),
        ("irc", ""),
        ("irc", "a" * 1024),
    ],
)
def test_what_is_nobody(network: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        canonical.canonical_id(Network(network), text)


@pytest.mark.attack(22)
@given(st.sampled_from(NETWORKS), st.text(max_size=40) | st.from_regex(r"@?[A-Za-zß\".\\ ]{1,9}[@:][a-zü.-]{1,9}"))
def test_canonical_form_is_stable_and_splits(network: Network, text: str) -> None:
    try:
        found = canonical.canonical_id(network, text)
    except InvalidInput:
        return
    assert canonical.canonical_id(network, found) == found
    assert canonical.join_id(network, *canonical.split_id(network, found)) == found


def test_people_of_networks_that_are_not_known() -> None:
    network = Network("irc")
    assert canonical.split_id(network, canonical.canonical_id(network, "Bob@irc.libera.chat")) == (
        "Bob",
        "irc.libera.chat",
    )
    assert canonical.split_id(network, canonical.canonical_id(network, "Bob")) == ("Bob", "")
    assert canonical.split_id(network, canonical.canonical_id(network, "@x")) == ("@x", "")
    assert canonical.split_id(network, canonical.canonical_id(network, "b@No Host")) == ("b@No Host", "")
