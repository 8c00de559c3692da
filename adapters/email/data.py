"""The content of a mail as it comes over the wire: end, dot transparency and line rules (RFC 5321, section 4.5.2).

Works on blocks as they arrive and not on lines: a mail of many short lines costs what one of few long lines costs.
"""

from __future__ import annotations

from typing import Final

from adapters.email.lines import without_even_ends

_END: Final = b"\r\n.\r\n"
_ALL_BUT_LINE_ENDS: Final = bytes(each for each in range(256) if each not in b"\r\n")
_CR, _LF = b"\r\n"
_HELD: Final = tuple(_END[:size] for size in range(len(_END) - 1, 0, -1))


class DataDecoder:
    """Finds the end of the data, takes the transparency dots out and notes what breaks the rules of lines."""

    def __init__(self, *, size_limit: int, line_limit: int) -> None:
        """`size_limit`: bytes of content; `line_limit`: bytes between two line ends."""
        self._size_limit = size_limit
        self._line_limit = line_limit
        self._held = b"\r\n"  # stands for the line end behind DATA, so that ".\r\n" alone is an empty mail
        self._virtual = 2
        self._line = 0
        self.size = 0
        """Bytes of content so far, without transparency dots."""
        self.too_big = False
        self.bare_line_ends = False
        """A CR or LF stood alone: the beginning of SMTP smuggling (CVE-2023-51764 and its family)."""
        self.line_too_long = False
        self.rest: bytes | None = None
        """What came behind the end; None until the end was found."""

    def feed(self, block: bytes) -> bytes:
        """The content in this block; b"" when there is none or when it will not be used anyway.

        After the end was found nothing may be fed any more.
        """
        data = self._held + block
        dots = b"." in data  # files in base64 have none, and looking for one byte is ten times as quick
        end = data.find(_END) if dots else -1
        if end >= 0:
            self.rest = data[end + len(_END) :]
            data, self._held = data[: end + 2], b""
        else:
            self._held = next((each for each in _HELD if data.endswith(each)), b"")
            data = data[: len(data) - len(self._held)]
        if not data:
            return b""
        self._check_lines(data)
        content = data.replace(b"\r\n.", b"\r\n") if dots else data
        if self._virtual:
            content = content[self._virtual :]
            self._virtual = 0
        self.size += len(content)
        self.too_big = self.too_big or self.size > self._size_limit
        return b"" if self.refused else content

    @property
    def refused(self) -> bool:
        """True when the mail will be refused whatever follows; it is read on to its end and thrown away."""
        return self.too_big or self.bare_line_ends or self.line_too_long

    def _check_lines(self, data: bytes) -> None:
        rest = without_even_ends(data)
        if rest is None or _CR in rest or _LF in rest:
            # splitlines() takes a CR, an LF and a pair for one end each: all are pairs when there are twice as many
            # bytes. Counting each of the three takes three times as long.
            end_bytes = len(data.translate(None, _ALL_BUT_LINE_ENDS))
            ends = len(data.splitlines()) - (not data.endswith((b"\r", b"\n")))
            self.bare_line_ends = self.bare_line_ends or end_bytes != 2 * ends
        longest = 0
        position = 0
        # Jumps from one limit to the next: few steps for many short lines, exact for long ones.
        while (next_end := data.find(b"\r\n", position)) >= 0:
            longest = max(longest, next_end - position + self._line)
            self._line = 0
            last = data.rfind(b"\r\n", next_end, next_end + self._line_limit)
            position = (last if last > next_end else next_end) + 2
        self._line += len(data) - position
        if max(longest, self._line) > self._line_limit:
            self.line_too_long = True
