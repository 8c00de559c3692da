"""Profiles as data URIs: the reference's verdicts, what is read beyond them, and bounds."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.profile import data_uri, parse_data_uri, parse_signed_profile
from gateway.errors import BadProfile
from tests.unit.dm3.vectors import ids, load

FILE = load("profile_uris")
VECTORS = FILE["dataUriVectors"]
LIMIT = 65_536

beyond_the_reference = {"percent", "pretty", "uppercase_scheme"}
"""What the reference cannot read and we can."""


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_reference_vectors(vector: dict[str, Any]) -> None:
    uri, reference = vector["inputs"]["uri"], vector["referenceResult"]
    if reference["ok"] or vector["id"] in beyond_the_reference:
        signed = parse_signed_profile(parse_data_uri(uri, LIMIT))
        assert json.loads(FILE["profileStringified"])["signature"] == signed.signature
        assert bool(signed.profile.delivery_services) == (vector["id"] != "empty_ds")
    else:
        with pytest.raises(BadProfile):
            parse_signed_profile(parse_data_uri(uri, LIMIT))


def test_what_we_read_beyond_the_reference_it_really_refuses() -> None:
    refused = {vector["id"] for vector in VECTORS if not vector["referenceResult"]["ok"]}
    assert beyond_the_reference < refused


def test_we_write_the_form_that_every_client_reads() -> None:
    assert data_uri(FILE["profileStringified"]) == FILE["createJsonDataUri"]


def test_text_beyond_ascii_goes_as_base64() -> None:
    uri = data_uri('{"a":"ξένος"}')
    assert uri.startswith("data:application/json;base64,")
    assert uri.isascii()
    assert parse_data_uri(uri, LIMIT) == '{"a":"ξένος"}'


texts = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)


@given(texts)
def test_every_spelling_gives_the_same_text(text: str) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    spellings = [
        data_uri(text),
        f"data:application/json,{text}",
        f"data:,{quote(text)}",
        f"data:application/json;charset=UTF-8,{quote(text, safe='')}",
        f"data:application/json;base64,{encoded}",
        f"data:application/json;base64,{encoded.rstrip('=')}",
        f"data:application/json;charset=utf-8;base64,{quote(encoded)}",
        f"DATA:Application/JSON;BASE64,{encoded[:4]}\n {encoded[4:]}",
        f"data:text/plain;x=y,{text}",
    ]
    assert {parse_data_uri(spelling, LIMIT) for spelling in spellings} == {text}


def test_percent_signs_in_plain_json_are_their_own() -> None:
    assert parse_data_uri('data:application/json,{"a":"%41"}', LIMIT) == '{"a":"%41"}'
    assert parse_data_uri("data:application/json,%7B%22a%22%3A%22%2541%22%7D", LIMIT) == '{"a":"%41"}'


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "{}",
        "data:",
        "data:application/json",
        "https://example.org/",
        " data:,{}",
        "data:image/png,{}",
        "data:text/html,{}",
        "data:application/json;charset=utf-16,{}",
        "data:application/json;base64,%%%",
        "data:application/json;base64,A",
        "data:application/json;base64,ÄÖ",
        "data:application/json;base64,/w==",
        "data:,%FF",
        "data:" + ";a" * 500 + ",{}",
        'data:,{"a":"\ud800"}',
    ],
)
def test_refused(uri: str) -> None:
    with pytest.raises(BadProfile):
        parse_data_uri(uri, LIMIT)


@pytest.mark.parametrize("form", ["data:,{}", "data:;base64,{}"])
def test_size_is_that_of_the_content(form: str) -> None:
    text = '{"a":"' + "x" * 94 + '"}'
    body = text if "base64" not in form else base64.b64encode(text.encode()).decode()
    uri = form.replace("{}", body)
    assert parse_data_uri(uri, 102) == text
    with pytest.raises(BadProfile, match="more than 101 bytes"):
        parse_data_uri(uri, 101)


def test_a_huge_uri_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(BadProfile, match="more than"):
        parse_data_uri("data:," + "%41" * 100_000, 1_000)


@given(st.text(max_size=60))
def test_garbage(text: str) -> None:
    for uri in (text, f"data:{text}", f"data:,{text}", f"data:;base64,{text}"):
        try:
            assert isinstance(parse_data_uri(uri, LIMIT), str)
        except BadProfile:
            continue
