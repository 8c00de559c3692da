"""Sizes of layers: a frozen list, each class just holding the one before, and nothing between them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.encryption import BLOCK_BYTES, MAX_SEALED_BYTES, encrypt, parse_payload
from gateway.dm3.keys import encryption_pair
from gateway.dm3.layer_sizes import HEAD_BYTES, SIZE_CLASSES, class_for, class_of, plain_bytes, sealed_length
from gateway.errors import InvalidInput, TooLarge

KEY = encryption_pair().public
SPECIFICATION = Path(__file__).parents[3] / "gateway" / "relay" / "README.md"
BLOCKS = (4, 6, 9, 13, 18, 25, 34, 46, 62, 83, 111, 149, 199, 266, 355, 474, 633, 845, 1127, 1503, 2005, 2674, 3566)


def test_the_list_is_frozen() -> None:
    """Other implementations have it from the specification."""
    assert SIZE_CLASSES[: len(BLOCKS)] == BLOCKS
    assert [sealed_length(blocks) for blocks in BLOCKS[:5]] == [11_062, 16_526, 24_718, 35_638, 49_294]
    assert sealed_length(SIZE_CLASSES[-1]) <= MAX_SEALED_BYTES


@pytest.mark.parametrize("size_class", range(8))
def test_the_length_of_a_sealed_text_is_as_computed(size_class: int) -> None:
    sealed = encrypt(KEY, "x" * plain_bytes(size_class))
    assert len(sealed) == sealed_length(SIZE_CLASSES[size_class])
    assert class_of(len(parse_payload(sealed).ciphertext)) == size_class


@pytest.mark.parametrize("size_class", range(1, len(SIZE_CLASSES)))
def test_a_class_holds_the_one_before_and_wastes_less_than_a_block(size_class: int) -> None:
    needed = sealed_length(SIZE_CLASSES[size_class - 1]) + HEAD_BYTES
    room = SIZE_CLASSES[size_class] * BLOCK_BYTES
    assert 0 <= room - needed < BLOCK_BYTES


@given(content=st.integers(0, plain_bytes(len(SIZE_CLASSES) - 1)))
def test_content_goes_into_the_smallest_class_that_holds_it(content: int) -> None:
    found = class_for(content)
    assert content <= plain_bytes(found)
    assert found == 0 or content > plain_bytes(found - 1)


def test_what_fits_no_class_is_too_large() -> None:
    with pytest.raises(TooLarge):
        class_for(plain_bytes(len(SIZE_CLASSES) - 1) + 1)


@given(size=st.integers(-100, 4_000_000))
def test_no_other_size_is_a_layers(size: int) -> None:
    right = {blocks * BLOCK_BYTES + 16 for blocks in SIZE_CLASSES}
    if size in right:
        assert SIZE_CLASSES[class_of(size)] * BLOCK_BYTES + 16 == size
    else:
        with pytest.raises(InvalidInput):
            class_of(size)


@pytest.mark.parametrize("size_class", range(len(SIZE_CLASSES)))
def test_everything_inside_a_layer_is_less_than_three_times_as_much(size_class: int) -> None:
    """However many layers somebody puts inside each other, relays together carry less than four times what was sent."""
    inside = sum(sealed_length(blocks) for blocks in SIZE_CLASSES[:size_class])
    assert inside < 3 * sealed_length(SIZE_CLASSES[size_class])


def test_the_specification_has_the_same_list() -> None:
    text = SPECIFICATION.read_text("utf-8")
    listed = text.partition("<!-- size classes: blocks -->")[2].partition("<!-- end -->")[0]
    assert tuple(int(number) for number in listed.replace("\n", " ").split(",")) == SIZE_CLASSES
    assert ", ".join(str(sealed_length(blocks)) for blocks in SIZE_CLASSES[:6]) in text
