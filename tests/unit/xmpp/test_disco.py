"""Discovery and capabilities, with the examples of XEP-0115."""

from __future__ import annotations

import base64
import hashlib

import pytest

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.services import disco, forms
from adapters.xmpp.services.disco import Face, Identity, InfoAsked, Item, ItemsAsked
from adapters.xmpp.services.forms import Field, Form
from adapters.xmpp.xml import children
from tests.unit.xmpp.stanza_texts import made, request

INFO = "http://jabber.org/protocol/disco#info"
FEATURES = (f"{ns.CAPS}", ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC)
SOFTWARE = "https://software.example"


def test_the_simple_example_of_the_specification() -> None:
    face = Face((Identity("client", "pc", "Exodus 0.9.1"),), FEATURES)
    assert disco.ver(face) == "QgayPKawpkPSDYmwT/WM94uAlu0="


def test_extended_information_is_in_the_hash_in_whatever_order() -> None:
    fields = (
        forms.hidden_type("urn:xmpp:dataforms:softwareinfo"),
        Field("software", ("Psi",)),
        Field("ip_version", ("ipv6", "ipv4")),
    )
    one = Face(
        (Identity("a", "b", "c"), Identity("a", "a")), ("z", "y"), (Form(fields), Form((forms.hidden_type("a"),)))
    )
    other = Face(
        (Identity("a", "a"), Identity("a", "b", "c")), ("y", "z"), (Form((forms.hidden_type("a"),)), Form(fields))
    )
    assert disco.ver(one) == disco.ver(other)
    assert disco.ver(one) != disco.ver(Face(one.identities, one.features))
    text = "a/a//<a/b//c<y<z<a<urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<software<Psi<"
    assert disco.ver(one) == base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def test_the_component_and_its_contacts_say_what_they_are() -> None:
    component, contact = disco.component_face("ENS", "Software", "1.0"), disco.contact_face("alice.eth")
    assert component.identities == (Identity("gateway", "dm3", "ENS"), Identity("conference", "text", "ENS"))
    assert Identity("account", "registered", "alice.eth") in contact.identities
    assert {ns.GATEWAY, ns.REGISTER, ns.SEARCH, ns.COMMANDS} <= set(component.features)
    assert {ns.REPLY, ns.REACTIONS, ns.CORRECTION, ns.RETRACTION, ns.MARKERS} <= set(contact.features)
    for face in (component, contact):
        assert len(set(face.features)) == len(face.features)
        assert "jid\\20escaping" not in face.features


def test_what_is_asked() -> None:
    assert disco.read(request(f"<query xmlns='{INFO}'/>")) == InfoAsked("")
    assert disco.read(request(f"<query xmlns='{INFO}' node='a'/>")) == InfoAsked("a")
    assert disco.read(request(f"<query xmlns='{ns.DISCO_ITEMS}' node='a'/>")) == ItemsAsked("a")
    with pytest.raises(BadStanza) as caught:
        disco.read(request(f"<query xmlns='{INFO}'/>", "set"))
    assert caught.value.condition is Condition.FEATURE_NOT_IMPLEMENTED


def test_what_is_answered() -> None:
    face = disco.component_face("A <gateway>", "Software", "1.0")
    query = made(disco.info(face, "node"))
    assert query.get("node") == "node"
    assert [each.get("var") for each in children(query, INFO, "feature")] == list(face.features)
    assert [each.attrib for each in children(query, INFO, "identity")] == [
        {"category": "gateway", "type": "dm3", "name": "A <gateway>"},
        {"category": "conference", "type": "text", "name": "A <gateway>"},
    ]
    assert len(children(query, ns.DATA_FORM, "x")) == 1
    items = made(disco.items([Item("dm3.example", "help", "Help"), Item("alice.eth@dm3.example")]))
    assert [each.attrib for each in items] == [
        {"jid": "dm3.example", "node": "help", "name": "Help"},
        {"jid": "alice.eth@dm3.example"},
    ]


def test_presence_announces_a_node_that_is_ours() -> None:
    face = disco.contact_face()
    caps = made(disco.caps(face, SOFTWARE))
    assert caps.attrib == {"hash": "sha-1", "node": SOFTWARE, "ver": disco.ver(face)}
    assert disco.is_of(f"{SOFTWARE}#{disco.ver(face)}", face, SOFTWARE)
    assert disco.is_of("", face, SOFTWARE)
    assert not disco.is_of(f"{SOFTWARE}#other", face, SOFTWARE)
