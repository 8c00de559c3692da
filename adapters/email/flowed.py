"""Text of ``format=flowed`` (RFC 3676): lines that a program broke are joined again, quotes and signature stay."""

from __future__ import annotations

from typing import Final

DASHES: Final = "-- "
"""The line in front of a signature; the blank at its end makes no flowed line of it (RFC 3676, section 4.3)."""


def unflow(text: str, *, delsp: bool) -> str:
    """The text with one line for each paragraph; quoted lines begin with as many ``>`` as before and a blank.

    `delsp`: the blank at the end of a broken line is not part of the text (section 4.1, parameter DelSp).
    """
    lines: list[str] = []
    open_depth: int | None = None
    pieces: list[str] = []
    for line in text.split("\n"):
        depth, content = _unquoted(line.removesuffix("\r"))
        flowed = content.endswith(" ") and content != DASHES
        if open_depth is not None and (depth != open_depth or content == DASHES):
            # A paragraph does not go on in a quote of another depth (section 4.5), nor in the signature.
            lines.append(_quoted(open_depth, "".join(pieces)))
            pieces, open_depth = [], None
        pieces.append(content[:-1] if flowed and delsp else content)
        if flowed:
            open_depth = depth
            continue
        lines.append(_quoted(depth, "".join(pieces)))
        pieces, open_depth = [], None
    if open_depth is not None:
        lines.append(_quoted(open_depth, "".join(pieces)))
    return "\n".join(lines)


def _unquoted(line: str) -> tuple[int, str]:
    """Depth of the quote, and the line without its marks and the blank that stuffing put there (section 4.4)."""
    content = line.lstrip(">")
    return len(line) - len(content), content[1:] if content.startswith(" ") else content


def _quoted(depth: int, text: str) -> str:
    return f"{'>' * depth} {text}".rstrip(" ") if depth else text
