"""JSON as no client writes it: values of every wrong kind, and texts that two parsers would read differently."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NAMES = ("alice.eth", "bob.eth", "nobody.eth", "gw.eth", "bob.a.example.email.gw.eth", "", ".", "Ä" * 300, "a" * 4_000)
NUMBERS = (0, -1, 1.5, -0.0, 2**53, 2**64, 10**400, float("nan"), float("inf"), 1e308, True)
TEXTS = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    [
        *NAMES,
        "\ud800",
        "\0",
        "0x" + "12" * 20,
        "{}",
        "[]",
        '{"a":' * 20,
        "null",
        "\u202e",
        "data:,{}",
        "https://10.0.0.1/",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(NUMBERS) | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5), max_leaves=12
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> bytes:
    """A text of a value: escaped or raw, with its first member doubled, deeply wrapped, long, cut or bent."""
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    match draw(st.integers(0, 11)):
        case 0 if text.startswith("{") and len(text) > 2:
            text = f"{text[:-1]},{text[1:].split(',')[0].rstrip('}')}}}"
        case 1:
            depth = draw(st.sampled_from([10, 40, 5_000]))
            text = "[" * depth + text + "]" * depth
        case 2:
            text = text.replace("[", "[" + "0," * draw(st.sampled_from([10, 2_000, 100_000])), 1)
        case 3:
            text = text[: draw(st.integers(0, len(text)))]
        case 4:
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.sampled_from(list('{}[]",:\\\0e-9'))) + text[at:]
        case 5:
            return draw(st.binary(max_size=60))
        case 6:
            return text.encode("utf-16", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def bent(template: Any) -> st.SearchStrategy[Any]:
    """A right value with one place in it that is something else, or is not there."""

    @st.composite
    def change(draw: st.DrawFn) -> Any:
        copy = json.loads(json.dumps(template))
        at = copy
        while True:
            if not isinstance(at, dict | list) or not at:
                return draw(VALUES)
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if isinstance(at[key], dict | list) and at[key] and draw(st.integers(0, 3)):
                at = at[key]
                continue
            if draw(st.booleans()):
                at[key] = draw(VALUES)
            else:
                del at[key]
            return copy

    return change()
