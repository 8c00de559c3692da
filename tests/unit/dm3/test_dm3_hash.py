"""dm3Hash: the reference's verdicts and the two spellings that we take beyond it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.profile import check_dm3_hash, dm3_hash
from tests.unit.dm3.vectors import ids, load

FILE = load("profile_uris")
VECTORS = FILE["dm3HashVectors"]
PROFILE = json.loads(FILE["profileStringified"])

beyond_the_reference = {"no_0x", "upper"}


def test_the_hash_itself() -> None:
    assert dm3_hash(PROFILE) == FILE["dm3Hash"]


@pytest.mark.parametrize("vector", VECTORS, ids=ids(VECTORS))
def test_reference_vectors(vector: dict[str, Any]) -> None:
    ours = check_dm3_hash(vector["inputs"]["uri"], vector["inputs"]["profile"])
    assert ours is (vector["expected"]["accepted"] or vector["id"] in beyond_the_reference)


def test_what_we_take_beyond_the_reference_it_really_refuses() -> None:
    refused = {vector["id"] for vector in VECTORS if not vector["expected"]["accepted"]}
    assert beyond_the_reference < refused


def test_order_and_blanks_of_the_file_do_not_matter() -> None:
    turned = json.loads(json.dumps(dict(reversed(PROFILE.items())), indent=4))
    assert check_dm3_hash(f"ipfs://x?dm3Hash={FILE['dm3Hash']}", turned)


@pytest.mark.parametrize("key", ["profile", "signature"])
def test_a_changed_file_is_refused(key: str) -> None:
    assert not check_dm3_hash(f"https://h.example/?dm3Hash={FILE['dm3Hash']}", PROFILE | {key: "other"})


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://[",
        "https://h.example/#dm3Hash=" + FILE["dm3Hash"],
        "https://h.example/?" + "a=1&" * 100 + "dm3Hash=" + FILE["dm3Hash"],
        "https://h.example/?dm3Hash=",
    ],
)
def test_odd_uris_are_only_false(uri: str) -> None:
    assert not check_dm3_hash(uri, PROFILE)


@given(st.text(max_size=60))
def test_garbage_is_only_false(text: str) -> None:
    assert not check_dm3_hash(text, PROFILE)
    assert not check_dm3_hash(f"https://h.example/?dm3Hash={text}", PROFILE)
