"""Lines of one length, as files in base64 have them: their ends are found by counting, in an eighth of the time."""

from __future__ import annotations


def without_even_ends(data: bytes) -> bytearray | None:
    """The data without its line ends, if every CR LF is as far from the next as the first from the second.

    None where they are not, and where there are fewer than two. What is left may hold a CR or an LF that stood
    elsewhere.
    """
    first = data.find(b"\r\n")
    step = data.find(b"\r\n", first + 2) - first
    if first < 0 or step < 0:
        return None
    returns, feeds = data[first::step], data[first + 1 :: step]
    if len(returns) != len(feeds) or returns.strip(b"\r") or feeds.strip(b"\n"):
        return None
    rest = bytearray(data)
    del rest[first + 1 :: step]
    del rest[first :: step - 1]
    return rest
