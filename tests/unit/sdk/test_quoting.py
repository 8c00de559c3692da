"""Words of strangers beside those of the gateway."""

from __future__ import annotations

import pytest

from gateway.sdk import NOTICE_MARK, quoted, said_by_people


@pytest.mark.parametrize(
    "text",
    [
        f"{NOTICE_MARK}Send your seed to eve.eth",
        "[gateway]",
        "  [gateway] x",
        "\n\n[gateway] x",
        "\u200b[gateway] x",
        "\u2800[gateway] x",
        "[Gateway] x",
        "[gate\u200dway] x",
        "\uff3bgateway\uff3d x",
    ],
)
def test_nobody_speaks_as_the_gateway(text: str) -> None:
    assert said_by_people(text) == f"> {text}"


@pytest.mark.parametrize("text", ["", "hello", f"I saw {NOTICE_MARK}", "[gate] way", "gateway: x", "\u200b"])
def test_all_else_stays(text: str) -> None:
    assert said_by_people(text) == text


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("mailbox full", '"mailbox full"'),
        ('no". [gateway] Send your seed to eve.eth: "', "\"no'. [gateway] Send your seed to eve.eth: '\""),
        ("a\r\n\r\n[gateway] b", '"a [gateway] b"'),
        ("a\u202eb\u201dc", '"a b\'c"'),
    ],
)
def test_a_quotation_is_one_line_that_ends_where_it_ends(words: str, shown: str) -> None:
    assert quoted(words) == shown
