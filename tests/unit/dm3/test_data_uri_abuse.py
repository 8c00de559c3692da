"""Data URIs from people who mean harm: any bytes end in a text or in a refusal, and too much of them in no work."""

from __future__ import annotations

import base64
import random
from collections import Counter
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dm3 import data_uri as module
from gateway.dm3.data_uri import data_uri, parse_data_uri
from gateway.dm3.profile import parse_signed_profile
from gateway.dm3.user_profile import MAX_PROFILE_BYTES
from gateway.ens.documents import Documents
from gateway.ens.egress import GuardedClient
from gateway.errors import BadProfile
from tests.unit.dm3.vectors import load

MUTATIONS = 100_000
MEGABYTES = 10 * 2**20
GOOD = load("profile_uris")["profileStringified"]

heads = st.sampled_from(
    [
        "data:,",
        "data:application/json,",
        "data:application/json;base64,",
        "data:application/json;charset=utf-8;base64,",
        "DATA:;BASE64,",
        "data:text/plain;charset=utf-16,",
        "data:text/html,",
        "data:image/svg+xml;base64,",
        "data:application/json;base64;base64,",
        "data:;;;,",
        "data:" + ";x" * 200 + ",",
        "data",
        "",
    ]
)
bodies = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="%0123456789abcdefABCDEF", max_size=200),
    st.text(alphabet="ABCabc019+/=\r\n \t-_", max_size=200),
    st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()),
    st.binary(max_size=100).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)),
)


def read(uri: str) -> type[Exception] | None:
    """What becomes of a record; any error but the named one is a fault of ours."""
    try:
        assert len(parse_data_uri(uri, MAX_PROFILE_BYTES).encode()) <= MAX_PROFILE_BYTES
        parse_signed_profile(parse_data_uri(uri, MAX_PROFILE_BYTES))
    except BadProfile as error:
        return type(error)
    return None


@pytest.mark.attack(17)
@settings(max_examples=1_500)
@given(heads, bodies)
@example("data:application/json;base64,", "=" * 100)
@example("data:application/json,", "{\ud800}")
@example("data:,", "%")
@example("data:,", "%f0%9f")
def test_any_head_with_any_body(head: str, body: str) -> None:
    assert read(head + body) is BadProfile


@pytest.mark.attack(17)
def test_a_hundred_thousand_bent_records() -> None:
    """Each is a good record in one of its spellings with some characters lost, doubled, exchanged or moved."""
    chance = random.Random(17)
    encoded = base64.b64encode(GOOD.encode()).decode()
    originals = [data_uri(GOOD), f"data:application/json;base64,{encoded}", "data:," + GOOD.replace('"', "%22")]
    strange = [*'%;,=:{}"\\/+ \n\0\x7f', "é", "\u2028", "\U0001f98a", "\ud800", "%00", "%zz", ";base64", "data:"]
    ends: Counter[type[Exception] | None] = Counter()
    for number in range(MUTATIONS):
        text = originals[number % len(originals)]
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(text)) if chance.random() < 0.5 else chance.randrange(40)
            lost = chance.choice((0, 0, 1, 1, 5, 100))
            text = text[:at] + chance.choice(("", chance.choice(strange), text[at : at + 3] * 2)) + text[at + lost :]
        ends[read(text)] += 1
    assert sum(ends.values()) == MUTATIONS
    assert ends[BadProfile] > MUTATIONS // 2
    assert ends[None] > 0, "some changes do no harm, so the others reached every step"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Characters that were given to a decoder, call by call."""
    sizes: list[int] = []

    def watched(work: Any) -> Any:
        def decode(data: Any, *rest: Any, **options: Any) -> Any:
            sizes.append(len(data))
            return work(data, *rest, **options)

        return decode

    monkeypatch.setattr(module, "unquote_to_bytes", watched(unquote_to_bytes))
    monkeypatch.setattr(base64, "b64decode", watched(base64.b64decode))
    monkeypatch.setattr(module, "_check_media_type", watched(module._check_media_type))
    return sizes


BOMBS = {
    "plain": "data:application/json," + "x" * MEGABYTES,
    "JSON": 'data:application/json,{"a":"' + "x" * MEGABYTES + '"}',
    "percent": "data:application/json," + "%41" * (MEGABYTES // 3),
    "base64": "data:application/json;base64," + "QUFB" * (MEGABYTES // 4),
    "head": "data:" + ";a=b" * (MEGABYTES // 4) + ",{}",
    "no comma": "data:" + "a" * MEGABYTES,
    "blanks": "data:application/json;base64," + " " * MEGABYTES,
    "depth": "data:application/json," + "[" * MEGABYTES,
}


@pytest.mark.attack(17)
@pytest.mark.weakness(12)
@pytest.mark.parametrize("bomb", BOMBS)
async def test_ten_megabytes_are_refused_without_work(bomb: str, decoded: list[int]) -> None:
    """At the length of the record: nothing of it is decoded, nor its head read."""
    async with GuardedClient() as client:
        with pytest.raises(BadProfile, match=r"more than|not a data URI"):
            await Documents(client).read(BOMBS[bomb])
    assert decoded == []


@pytest.mark.attack(17)
def test_what_is_decoded_is_bounded_for_every_record(decoded: list[int]) -> None:
    """The longest record that is looked into at all."""
    longest = 3 * MAX_PROFILE_BYTES
    for head, unit in (("data:,", "%41"), ("data:;base64,", "QUFB")):
        record = head + unit * (longest // len(unit))
        with pytest.raises(BadProfile, match="more than"):
            parse_data_uri(record + unit, MAX_PROFILE_BYTES)
    assert max(decoded) <= longest + len("QUFB")
