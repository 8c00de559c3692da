"""Profiles as ``data:`` URIs (RFC 2397) in ENS text records.

Clients read only the plain form ``data:application/json,{...}`` and its base64 form; percent-encoding, line breaks
and other spellings are read here as well, because people write records by hand.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.dm3.encoding import to_base64
from gateway.errors import BadProfile

_HEAD: Final = re.compile(r"data:([^,]*),", re.IGNORECASE)
_MAX_HEAD: Final = 256
_MEDIA_TYPES: Final = {"", "application/json", "text/plain", "text/json"}
_CHARSETS: Final = {"utf-8", "utf8", "us-ascii"}


def data_uri(json_text: str) -> str:
    """The form that every client reads; ``json_text`` must be canonical JSON, which has no line breaks.

    Clients cut the characters of the plain form to one byte each, so text beyond ASCII goes as base64.
    """
    if json_text.isascii():
        return "data:application/json," + json_text
    return "data:application/json;base64," + to_base64(json_text.encode("utf-8"))


def parse_data_uri(uri: str, max_bytes: int) -> str:
    """The JSON text of a data URI of at most ``max_bytes`` decoded bytes; raises BadProfile."""
    # Percent-encoding triples a byte, base64 adds a third; nothing longer can hold so little.
    if len(uri) > 3 * max_bytes + _MAX_HEAD:
        raise BadProfile(f"the data URI holds more than {max_bytes} bytes")
    head = _HEAD.match(uri, 0, _MAX_HEAD)
    if head is None:
        raise BadProfile("the record is not a data URI")
    media_type, *parameters = (part.strip().lower() for part in head.group(1).split(";"))
    encoded_as_base64 = bool(parameters) and parameters[-1] == "base64"
    _check_media_type(media_type, parameters[:-1] if encoded_as_base64 else parameters)
    body = _body(uri[head.end() :], encoded_as_base64=encoded_as_base64)
    if len(body) > max_bytes:
        raise BadProfile(f"the data URI holds more than {max_bytes} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadProfile("the data URI does not hold UTF-8") from None


def _check_media_type(media_type: str, parameters: list[str]) -> None:
    if media_type not in _MEDIA_TYPES:
        raise BadProfile("the data URI does not hold JSON")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in _CHARSETS:
            raise BadProfile("the data URI is not in UTF-8")


def _body(payload: str, *, encoded_as_base64: bool) -> bytes:
    try:
        if encoded_as_base64:
            digits = b"".join(unquote_to_bytes(payload).split()).rstrip(b"=")
            return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
        if payload.lstrip().startswith("{"):
            # Unencoded JSON, taken as it is: a percent sign in it (in a URL, say) is its own.
            return payload.encode("utf-8")
        return unquote_to_bytes(payload)
    except (binascii.Error, UnicodeEncodeError):
        raise BadProfile("the data URI cannot be decoded") from None
