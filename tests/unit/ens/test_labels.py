"""The escape of one label: what it looks like, that it reads back, that nothing else reads as it."""

from __future__ import annotations

import itertools
import re

import pytest
from ens_normalize import ens_normalize
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens import labels, names
from gateway.ids import EnsName

TEXT = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("bob", "bob"),
        ("bob.smith", "bob-2esmith"),
        ("Alice", "0-x41lice"),
        ("a-b", "a-2db"),
        ("-", "0-x2d"),
        ("--", "0-x2d-2d"),
        ("a-", "a-2d"),
        ("0-x41lice", "0-2dx41lice"),
        ("é", "0-xc3-a9"),
        ("a\0b", "a-00b"),
        ("42", "42"),
    ],
)
def test_escape(text: str, label: str) -> None:
    assert labels.escape_label(text) == label
    assert labels.unescape_label(label) == text


@pytest.mark.parametrize(
    "label",
    [
        "",
        "-41lice",  # a leading hyphen is written 0-x
        "bob-2Esmith",
        "bob-62",  # b stands for itself
        "a-",
        "a-2",
        "a-zz",
        "a--2d",
        "0-x62ob",
        "a0-x41",
        "Bob",
        "a.b",
        "bob-ff",  # no UTF-8
        "a-ed-a0-80",  # a surrogate
        "a-c0-80",  # an overlong NUL
        "é",
        "a_b",
        "a-2d\n",
    ],
)
def test_what_is_no_canonical_escape(label: str) -> None:
    assert labels.unescape_label(label) is None


@given(TEXT)
def test_an_escape_is_left_alone_by_everybody(text: str) -> None:
    label = labels.escape_label(text)
    assert labels.unescape_label(label) == text
    assert re.fullmatch(r"[a-z0-9-]+", label)
    assert "--" not in label
    assert not label.startswith("-")
    assert not label.endswith("-")
    assert ens_normalize(label) == label
    assert names.nameprep_safe(EnsName(label))


@given(st.text(alphabet="abcdefx0123456789-z", min_size=1, max_size=30))
def test_a_label_is_the_escape_of_one_text_or_of_none(label: str) -> None:
    text = labels.unescape_label(label)
    assert text is None or labels.escape_label(text) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("example", "example"),
        ("sub-domain", "sub-domain"),
        ("srv-01", "srv-01"),  # a control character is in no host name, so nothing else is written like this
        ("x--y", "x--y"),
        ("localhost:8448", "localhost-3a8448"),
        ("localhost-3a8448", "localhost-2d3a8448"),
        ("localhost-2d3a8448", "localhost-2d2d3a8448"),
        ("xn--mnchen-3ya", "xn-2d-2dmnchen-2d3ya"),
        ("Example", "0-x45xample"),
        ("0-x45xample", "0-2dx45xample"),
        ("0-xyz", "0-xyz"),
        ("-a", "0-x2da"),
        ("a-", "a-2d"),
        ("[::1]", "0-x5b-3a-3a1-5d"),
        ("münchen", "m-c3-bcnchen"),
        ("abc-z" + "a" * 26, "abc-2dz" + "a" * 26),
        ("abc-z" + "a" * 25, "abc-z" + "a" * 25),
    ],
)
def test_labels_of_servers(text: str, label: str) -> None:
    assert labels.escape_host_label(text) == label
    assert labels.unescape_host_label(label) == text


def test_labels_of_servers_never_meet() -> None:
    """Every text of up to six characters that matter to the escape, and texts made of pieces of escapes."""
    texts = {"".join(chars) for size in range(1, 7) for chars in itertools.product("a2d-x0", repeat=size)}
    pieces = ("a", "-3a", "-2d", "0-x", "-41", ":", "-z", "A", "b" * 26)
    texts |= {"".join(chosen) for size in range(1, 6) for chosen in itertools.product(pieces, repeat=size)}
    escaped = {text: labels.escape_host_label(text) for text in texts}
    assert len(texts) > 100_000
    assert len(set(escaped.values())) == len(texts)
    assert all(labels.unescape_host_label(label) == text for text, label in escaped.items())


@given(st.text(alphabet="abcdefx0123456789-z:", min_size=1, max_size=30))
def test_a_label_of_a_server_reads_one_way(label: str) -> None:
    text = labels.unescape_host_label(label)
    assert text is None or labels.escape_host_label(text) == label


def test_a_cut_label_ends_between_escapes() -> None:
    digest = labels.id_digest("x")
    assert labels.cut_label("a" * 70, digest) == "a" * 30 + "-z" + digest
    assert labels.cut_label(labels.escape_label("é" * 20), digest) == "0-xc3-a9-c3-a9-c3-a9-c3-a9-c3-z" + digest
    for shift in range(3):
        cut = labels.cut_label("b" * shift + "-2e" * 30, digest)
        prefix = cut.removesuffix("-z" + digest)
        assert 28 <= len(prefix) <= 30
        assert re.fullmatch(r"b*(?:-2e)*", prefix)


def test_digests() -> None:
    assert labels.id_digest("@bob:example.org") == "wogo7kxpdsbhk42xwdk6vxgmwu"
    cut = labels.cut_label("a" * 70, labels.id_digest("x"))
    assert labels.digest_in(cut) == labels.id_digest("x")
    for other in ("bob", "abc-z" + "a" * 25, "abc-z" + "1" * 26, "a" * 31 + "-z" + "a" * 26, "a-2-z" + "a" * 26):
        assert labels.digest_in(other) is None


@given(TEXT)
def test_no_escape_reads_as_a_digest(text: str) -> None:
    assert labels.digest_in(labels.escape_label(text)) is None
    assert labels.digest_in(labels.escape_host_label(text)) is None
