"""Secrets at rest: they open in their own place and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.custody.sealed import SecretPlace, open_secret, seal_secret
from gateway.errors import CustodyError

KEY = b"\x31" * 32
PLACE = SecretPlace("identities", ("matrix", "@alice:example.org"), "sealed_salt", 0)
SECRET = b"a salt of some kind"
SEALED = seal_secret(KEY, SECRET, PLACE)


@given(st.binary(max_size=200))
def test_round_trip(secret: bytes) -> None:
    sealed = seal_secret(KEY, secret, PLACE)
    assert open_secret(KEY, sealed, PLACE) == secret
    assert secret not in sealed or len(secret) < 4


def test_each_sealing_differs() -> None:
    assert len({seal_secret(KEY, SECRET, PLACE) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, table="names"),
        replace(PLACE, row=("matrix", "@bob:example.org")),
        replace(PLACE, row=("xmpp", "@alice:example.org")),
        replace(PLACE, row=("matrix@alice:example.org",)),
        replace(PLACE, row=("matrix", "@alice:example.org", "")),
        replace(PLACE, column="display_name"),
        replace(PLACE, epoch=1),
    ],
)
def test_another_place_does_not_open(place: SecretPlace) -> None:
    with pytest.raises(CustodyError):
        open_secret(KEY, SEALED, place)


@given(st.integers(0, len(SEALED) * 8 - 1))
def test_a_flipped_bit_does_not_open(bit: int) -> None:
    broken = bytearray(SEALED)
    broken[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CustodyError):
        open_secret(KEY, bytes(broken), PLACE)


@pytest.mark.parametrize("size", range(0, len(SEALED), 7))
def test_a_cut_secret_does_not_open(size: int) -> None:
    with pytest.raises(CustodyError):
        open_secret(KEY, SEALED[:size], PLACE)


def test_another_key_does_not_open() -> None:
    with pytest.raises(CustodyError) as caught:
        open_secret(b"\x32" * 32, SEALED, PLACE)
    assert "alice" not in str(caught.value)


names = st.text(max_size=5)


@given(
    st.builds(SecretPlace, names, st.lists(names, max_size=3).map(tuple), names, st.integers(0, 20)),
    st.builds(SecretPlace, names, st.lists(names, max_size=3).map(tuple), names, st.integers(0, 20)),
)
def test_two_places_never_look_alike(left: SecretPlace, right: SecretPlace) -> None:
    assert (left.to_bytes() == right.to_bytes()) == (left == right)
