"""ENS names as local parts of Matrix, XMPP and mail addresses: golden vectors, both ways, canonical spellings only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.localparts import (
    MAX_XMPP_LOCAL,
    Alias,
    matrix_localpart,
    name_from_matrix_localpart,
    name_from_punycode_localpart,
    punycode_localpart,
)
from gateway.ens.names import normalise
from gateway.errors import InvalidName, UnknownName
from gateway.ids import EnsName

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/identity/localparts.json").read_text())
SERVER = VECTORS["matrix_server"]


@pytest.mark.parametrize("row", VECTORS["names"], ids=lambda row: ascii(row["name"])[:40])
def test_golden_vectors(row: dict[str, Any]) -> None:
    name = EnsName(row["name"])
    matrix = matrix_localpart(name, server_name=SERVER)
    email, xmpp = punycode_localpart(name), punycode_localpart(name, max_octets=MAX_XMPP_LOCAL)
    assert (matrix.text, matrix.digest) == (row["matrix"], row["matrix_digest"])
    assert (email.text, email.digest) == (row["email"], row["email_digest"])
    assert (xmpp.text, xmpp.digest) == (row["xmpp"], row["xmpp_digest"])
    assert name_from_matrix_localpart(matrix.text, server_name=SERVER) == (
        Alias(matrix.text) if matrix.digest else name
    )
    assert name_from_punycode_localpart(email.text) == (Alias(email.text) if email.digest else name)
    read = name_from_punycode_localpart(xmpp.text, max_octets=MAX_XMPP_LOCAL)
    assert read == (Alias(xmpp.text) if xmpp.digest else name)


@given(st.text(max_size=50))
def test_any_name_there_and_back(text: str) -> None:
    try:
        name = normalise(text)
    except InvalidName:
        return
    matrix = matrix_localpart(name, server_name=SERVER)
    assert len(f"@{matrix.text}:{SERVER}") <= 255
    back = name_from_matrix_localpart(matrix.text, server_name=SERVER)
    assert back == (Alias(matrix.text) if matrix.digest else name)
    puny = punycode_localpart(name)
    assert len(puny.text) <= 64
    assert puny.text.isascii()
    assert name_from_punycode_localpart(puny.text) == (Alias(puny.text) if puny.digest else name)


@given(st.text(max_size=40) | st.from_regex(r"(dm3_)?[a-z0-9._=-]{0,20}", fullmatch=True))
def test_any_local_part_is_of_one_name_or_of_none(text: str) -> None:
    try:
        name = name_from_matrix_localpart(text)
        assert isinstance(name, Alias) or matrix_localpart(name).text == text
    except UnknownName:
        pass
    try:
        name = name_from_punycode_localpart(text)
        assert isinstance(name, Alias) or punycode_localpart(name).text == text
    except UnknownName:
        pass


@pytest.mark.parametrize(
    "localpart",
    [
        "",
        "dm3_",
        "alice.eth",
        "dm3_Alice.eth",
        "dm3_=61lice.eth",
        "dm3_=F0=9F=92=A9.eth",
        "dm3_=zz.eth",
        "dm3_=f0=9f.eth",
        "dm3_a=",
        "dm3_a=4",
        "dm3_a..eth",
        "dm3_a=41.eth",
        "dm3_💩.eth",
        "dm3_=h" + "a" * 25,
        "dm3_" + "a" * 300,
    ],
)
def test_matrix_local_parts_of_nobody(localpart: str) -> None:
    with pytest.raises(UnknownName):
        name_from_matrix_localpart(localpart, server_name=SERVER)


@pytest.mark.parametrize(
    "localpart",
    [
        "",
        ".",
        "Alice.eth",
        "alice..eth",
        "faß.eth",
        "xn--.eth",
        "xn--abc-.eth",
        "xn--LS8H.eth",
        "xn--ls8h-.eth",
        "xn--99999999.eth",
        "xn--fa-hia\udcff.eth",
        "ab--c.eth",
        "a_b.eth",
        "alice+tag.eth",
        "x" * 65,
    ],
)
def test_punycode_local_parts_of_nobody(localpart: str) -> None:
    with pytest.raises(UnknownName):
        name_from_punycode_localpart(localpart)


def test_utf8_local_parts_of_mail() -> None:
    assert name_from_punycode_localpart("faß.eth", allow_unicode=True) == "faß.eth"
    assert name_from_punycode_localpart("faß.xn--ls8h.eth", allow_unicode=True) == "faß.💩.eth"
    for folded in ("FAß.eth", "1️⃣.eth", "ｆｕｌｌ.eth", "faß.xn--LS8H.eth"):
        with pytest.raises(UnknownName):
            name_from_punycode_localpart(folded, allow_unicode=True)


def test_a_server_with_a_long_name_leaves_less_room() -> None:
    name = EnsName("a" * 200 + ".eth")
    assert not matrix_localpart(name, server_name="a.org").digest
    long = matrix_localpart(name, server_name="b" * 50 + ".org")
    assert long.digest
    with pytest.raises(UnknownName):
        name_from_matrix_localpart(f"dm3_{name}", server_name="b" * 50 + ".org")
    assert name_from_matrix_localpart(long.text, server_name="b" * 50 + ".org") == Alias(long.text)


def test_other_prefixes() -> None:
    local = matrix_localpart(EnsName("alice.eth"), prefix="_ens_").text
    assert local == "_ens_alice.eth"
    assert name_from_matrix_localpart(local, prefix="_ens_") == "alice.eth"
    with pytest.raises(UnknownName):
        name_from_matrix_localpart(local)


@pytest.mark.parametrize("name", ["Alice.eth", "1️⃣.eth"])
def test_names_that_are_not_normal_get_no_address(name: str) -> None:
    with pytest.raises(InvalidName):
        matrix_localpart(EnsName(name))
    with pytest.raises(InvalidName):
        punycode_localpart(EnsName(name))
