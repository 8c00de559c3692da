"""Text out of bytes that claim a charset, and header values out of RFC 2047 words; nothing here ever raises."""

from __future__ import annotations

import codecs
import email.errors
import email.header
import email.message
import re
import unicodedata
from typing import Final

_CLAIM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_KNOWN: Final = re.compile(
    r"utf-(?:7|8|8-sig|16|16-le|16-be|32|32-le|32-be)|iso8859-\d{1,2}|cp\d{2,5}|koi8-[rut]|gb2312|gbk|gb18030|hz"
    r"|big5|big5hkscs|euc_jp|euc_kr|euc_jis_2004|iso2022_(?:jp(?:_[123]|_ext|_2004)?|kr)|shift_jis(?:_2004)?|johab"
    r"|mac-(?:roman|cyrillic|greek|latin2|turkish|iceland)|tis-620|ptcp154|kz1048"
)
"""Python's names of charsets. Its other codecs (hex, zlib, idna, unicode_escape...) are no charsets."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
_BIDI_AND_HIDDEN: Final = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_FOLD: Final = re.compile(r"\r?\n[ \t]*|[\x00-\x1f\x7f-\x9f]+")


def decode(data: bytes, claimed: str | None) -> str:
    """Text by the claimed charset; where that fails by UTF-8, at last by Windows-1252 with replacements."""
    for charset in (known_charset(claimed), "utf-8"):
        try:
            return data.decode(charset)
        except (UnicodeError, LookupError):
            continue
    return data.decode("cp1252", "replace")


def known_charset(claimed: str | None) -> str:
    """Python's name for a claimed charset; UTF-8, which holds ASCII, for unknown ones."""
    if claimed and _CLAIM.fullmatch(claimed):
        try:
            name = codecs.lookup(claimed).name
        except (LookupError, ValueError):
            return "utf-8"
        if _KNOWN.fullmatch(name):
            return name
    return "utf-8"


def plain_text(text: str) -> str:
    """Text with LF line ends, without controls and without lone surrogates.

    It is not brought into a normal form: the time of that grows with the square of a run of combining marks.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", lines).encode("utf-8", "replace").decode().strip("\n")


def one_line(text: str, limit: int) -> str:
    """Text for a place of one line: controls and folds become blanks, marks that reorder or hide text go."""
    flat = _BIDI_AND_HIDDEN.sub("", _FOLD.sub(" ", text[: 8 * limit + 1024]))
    cleaned = " ".join(flat.encode("utf-8", "replace").decode().split())
    return unicodedata.normalize("NFC", cleaned)[:limit].rstrip()


def header_line(text: str, limit: int) -> str:
    """Text for a header that we write: one line, in which no encoded word begins (RFC 2047).

    The standard library decodes encoded words of a header that is set, line ends and all, and writes those as they are.
    """
    return one_line(text, limit).replace("=?", "= ?")


def header_text(headers: email.message.Message, name: str, limit: int) -> str:
    """A header as text of one line, its encoded words decoded once (RFC 2047); "" when it is absent."""
    return decode_words(raw_header(headers, name), limit)


def raw_header(headers: email.message.Message, name: str) -> str:
    """A header as it stands; "" when it is absent."""
    return str(headers.get(name, ""))


def decode_words(raw: str, limit: int) -> str:
    """Decode encoded words once; malformed ones stay as they are."""
    bounded = raw[: 8 * limit + 1024]
    try:
        pieces = email.header.decode_header(bounded)
    except (email.errors.HeaderParseError, ValueError):
        return one_line(bounded, limit)
    text = "".join(piece if isinstance(piece, str) else _piece(piece, charset) for piece, charset in pieces)
    return one_line(text, limit)


def _piece(piece: bytes, charset: str | None) -> str:
    # Text between encoded words comes out of the standard library in this codec of its own.
    return decode(piece, charset) if charset else piece.decode("raw-unicode-escape", "replace")
