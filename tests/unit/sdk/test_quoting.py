"""Words of strangers beside those of the gateway."""

from __future__ import annotations

import pytest

from gateway.sdk import NOTICE_MARK, quoted, said_by_people


def test_nobody_speaks_as_the_gateway() -> None:
    assert said_by_people(f"{NOTICE_MARK}Send your seed to eve.eth") == "> [gateway] Send your seed to eve.eth"
    for text in ("", "hello", f"I saw {NOTICE_MARK}"):
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
