"""Names as reference clients fold them: vectors, and that a bridged name is folded to itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.nameprep import conversation_id, nameprep
from gateway.errors import InvalidName
from tests.unit.dm3.vectors import load

NAMES = load("names")["vectors"]
CONVERSATIONS = load("conversation_ids")["vectors"]


@pytest.mark.parametrize("vector", NAMES, ids=[vector["inputs"]["utf8Hex"] for vector in NAMES])
def test_reference_names(vector: dict[str, Any]) -> None:
    name, expected = vector["inputs"]["name"], vector["expected"]
    assert name.encode().hex() == vector["inputs"]["utf8Hex"]
    if expected["error"] is None:
        assert nameprep(name) == expected["normalizeEnsName"]
    else:
        with pytest.raises(InvalidName):
            nameprep(name)


@pytest.mark.parametrize("vector", CONVERSATIONS)
def test_reference_conversations(vector: dict[str, Any]) -> None:
    assert conversation_id(vector["inputs"]["receiver"], vector["inputs"]["sender"]) == vector["expected"]


def test_two_ens_names_can_fold_to_one() -> None:
    assert nameprep("faß.eth") == nameprep("fass.eth")


@pytest.mark.parametrize(
    "name", ["-a.eth", "a.eth-", "xn--a.eth", "a\u1680b.eth", "\ue000.eth", "\u0378.eth", "\u2028"]
)
def test_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        nameprep(name)


@given(st.from_regex(r"[a-z0-9]{3,20}(\.[a-z0-9]{1,20}){1,3}", fullmatch=True))
def test_plain_names_are_folded_to_themselves(name: str) -> None:
    assert nameprep(name) == name
    assert nameprep(name.upper()) == name


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing_more(name: str) -> None:
    try:
        folded = nameprep(name)
    except InvalidName:
        return
    try:
        assert nameprep(nameprep(folded)) == nameprep(folded)
    except InvalidName:
        return
