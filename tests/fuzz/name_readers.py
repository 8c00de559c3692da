"""Names: normal forms, DNS form, escapes both ways, addresses of other networks, content ids, URLs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gateway.dm3.nameprep import nameprep
from gateway.ens.canonical import EMAIL, MATRIX, XMPP, canonical_id
from gateway.ens.cid import parse_ipfs_uri, verified_content
from gateway.ens.escapes import bridged_name, parse_bridged_name
from gateway.ens.hosts import is_private, is_public, parse_ip
from gateway.ens.labels import (
    MAX_LABEL_BYTES,
    escape_host_label,
    escape_label,
    unescape_host_label,
    unescape_label,
)
from gateway.ens.localparts import (
    Alias,
    matrix_localpart,
    name_from_matrix_localpart,
    name_from_punycode_localpart,
    punycode_localpart,
)
from gateway.ens.names import dns_decode, dns_encode, namehash, nameprep_safe, normalise, require_normal
from gateway.ens.targets import follow, parse_target
from gateway.ids import EnsName, Network
from gateway.subnames.labels import LabelRules, check_label, read_claimed, warnings
from gateway.web.wanted import full_name
from tests.fuzz.target import Target, each, text_of

PARENT = EnsName("gw.eth")
RULES = LabelRules()
VECTORS = Path(__file__).parents[1] / "vectors"
PEOPLE = json.loads((VECTORS / "identity" / "bridged_names.json").read_text("utf-8"))["people"]
LOCALPARTS = json.loads((VECTORS / "identity" / "localparts.json").read_text("utf-8"))["names"]
NAMES = [
    vector["inputs"]["name"] for vector in json.loads((VECTORS / "dm3" / "names.json").read_text("utf-8"))["vectors"]
]
WORDS = ("xn--", "-2e", "0-x", "-z", "ß", "\u200d", "\u0301", "\U0001f469", ".", "@", ":", "[::1]", "=61", "a-")


def name(data: bytes) -> None:
    """A normal form is its own, and survives the DNS form."""
    normal = normalise(text_of(data))
    assert normalise(normal) == normal
    assert len(namehash(normal)) == 32
    nameprep_safe(normal)
    assert dns_decode(dns_encode(normal)) == normal


def dns_name(data: bytes) -> None:
    """One name has one DNS form."""
    read = dns_decode(data)
    assert dns_encode(read) == data
    assert require_normal(read) == read


def folded(data: bytes) -> None:
    """What clients of before did to names."""
    nameprep(text_of(data))


def claimed(data: bytes) -> None:
    """What somebody types who wants a name."""
    text = text_of(data)
    full_name(text, PARENT)
    warnings(check_label(read_claimed(text, PARENT), PARENT, RULES))


def person(network: Network) -> Callable[[bytes], None]:
    """An id is canonical once for all, and its name leads back to it: so no two people have one name."""

    def run(data: bytes) -> None:
        canonical = canonical_id(network, text_of(data))
        assert canonical_id(network, canonical) == canonical
        given = bridged_name(network, canonical, PARENT)
        assert normalise(given) == given
        read = parse_bridged_name(given, PARENT)
        assert read.network == network
        assert read.digest is not None or read.canonical_id == canonical

    return run


def bridged(data: bytes) -> None:
    """No other name is anybody's."""
    wanted = normalise(f"{text_of(data)}.{PARENT}")
    read = parse_bridged_name(wanted, PARENT)
    if read.canonical_id is not None:
        assert bridged_name(read.network, read.canonical_id, PARENT) == wanted


def escape(data: bytes) -> None:
    """Both ways, for people and for servers."""
    text = data.decode("utf-8", "ignore")
    if text:
        escaped = escape_label(text)
        assert escaped.isascii()
        assert unescape_label(escaped) == text
    for unescaped, written in ((unescape_label(text), escape_label), (unescape_host_label(text), escape_host_label)):
        assert unescaped is None or written(unescaped) == text or len(text) > MAX_LABEL_BYTES


def matrix_local(data: bytes) -> None:
    """One user, one name."""
    local = text_of(data)
    read = name_from_matrix_localpart(local, server_name="example.org")
    if not isinstance(read, Alias):
        assert matrix_localpart(read, server_name="example.org").text == local


def mail_local(data: bytes) -> None:
    """One ASCII address, one name; in UTF-8 labels may be written either way, and are the same ones."""
    local = text_of(data)
    read = name_from_punycode_localpart(local, allow_unicode=True)
    if not isinstance(read, Alias):
        assert require_normal(read) == read
        assert len(read.split(".")) == len(local.split("."))
        assert not local.isascii() or local == punycode_localpart(read).text


def content_id(data: bytes) -> None:
    """What a content id promises is kept or refused."""
    uri, _, block = data.partition(b"\n")
    verified_content(parse_ipfs_uri(text_of(uri)), block)


def url(data: bytes) -> None:
    """A target is asked for by the URL that it was read from, or by one that reads the same."""
    first, _, location = text_of(data).partition("\n")
    target = parse_target(first, allow_private=False)
    assert parse_target(target.url, allow_private=False) == target
    follow(target, location, allow_private=False)


def ip_address(data: bytes) -> None:
    """Public or not, never both."""
    found = parse_ip(text_of(data))
    assert found is None or not (is_public(found) and is_private(found))


_CID = "ipfs://bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6wsyg236mfoks77nywkptdq"

TARGETS = (
    Target("ens-name", name, each(*NAMES, "FAß.eth", "\U0001f469\u200d\U0001f467.eth"), WORDS, max_bytes=300),
    Target("dns-name", dns_name, (dns_encode(EnsName("bob.gw.eth")), b"\x05\xc3\x9f\xc3\x9fa\x03eth\0"), max_bytes=300),
    Target("nameprep", folded, each(*NAMES, "faß.eth"), WORDS, max_bytes=300),
    Target("claimed-name", claimed, each("bob", "Bob.gw.eth", "bob-2esmith", "pаypal"), WORDS, max_bytes=300),
    *(
        Target(
            f"{network}-person",
            person(network),
            each(*(row["address"] for row in PEOPLE if row["network"] == network)),
            WORDS,
            max_bytes=600,
        )
        for network in (MATRIX, XMPP, EMAIL)
    ),
    Target(
        "bridged-name",
        bridged,
        each(*(str(row["name"]).removesuffix(".gw.eth") for row in PEOPLE)),
        WORDS,
        max_bytes=300,
    ),
    Target("escape", escape, each("bob-2esmith", "0-x41lice", "localhost-3a8448", "ß", "-"), WORDS, max_bytes=100),
    Target("matrix-localpart", matrix_local, each(*(row["matrix"] for row in LOCALPARTS)), WORDS, max_bytes=300),
    Target("mail-localpart", mail_local, each(*(row["email"] for row in LOCALPARTS)), WORDS, max_bytes=300),
    Target(
        "content-id", content_id, each(f"{_CID}\nhello", "ipfs://QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG\n\n")
    ),
    Target(
        "url",
        url,
        each("https://a.example/p?q#f\n/other", "https://[2606:4700::1]:443/", "https://bücher.example\n//b"),
    ),
    Target("ip-address", ip_address, each("10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "0x7f.1"), max_bytes=80),
)
