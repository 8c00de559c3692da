"""What of an answer is new: the text in front of the quoted mail and the signature below it. Pure and linear.

Only the end of a text is cut. A quote above or between what somebody wrote says what it is about, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MAX_TEXT: Final = 200_000
"""Characters; a longer text stays whole."""
MAX_LINE: Final = 400
"""Characters of a line that is looked at closely; attribution lines are shorter."""
MAX_ATTRIBUTION: Final = 3
"""Lines over which programs break "On ... wrote:"."""
MAX_SIGNATURE: Final = 12
"""Lines below a delimiter that lost its blank, for it to be one."""

_ATTRIBUTION: Final = re.compile(
    r"(?:on|am|le|el|il|em|op|den|w dniu)\b.{4,380}?(?:wrote|schrieb\b.{0,200}|a écrit|escribió|ha scritto|escreveu"
    r"|schreef\b.{0,200}|skrev\b.{0,200}|napisał(?:\(a\))?)\s{0,2}:",
    re.IGNORECASE,
)
_NAME_FIRST: Final = re.compile(
    r".{4,380}?\b(?:wrote|schrieb|a écrit|escribió)(?: (?:on|am|le|el)\b.{4,200})?\s{0,2}:", re.IGNORECASE
)
_SEPARATOR: Final = re.compile(
    r"-{2,12} ?(?:original message|original appointment|forwarded message|ursprüngliche nachricht"
    r"|originalnachricht|weitergeleitete nachricht|message d'origine|message d’origine|message transféré"
    r"|mensaje original|mensaje reenviado|messaggio originale|mensagem original|oorspronkelijk bericht) ?-{2,12}",
    re.IGNORECASE,
)
_RULE: Final = re.compile(r"_{10,100}|-{10,100}|(?:\* ){2}\*|\*{3}|-{3}")
_FIRST_FIELD: Final = re.compile(r"(?:from|von|de|da|van|från|od) ?: ?\S", re.IGNORECASE)
_LATER_FIELD: Final = re.compile(
    r"(?:sent|date|gesendet|datum|envoyé|enviado(?: el)?|fecha|inviato|verzonden|skickat"
    r"|to|an|à|para|a|aan|till|cc|kopie) ?: ?"
    r"|(?P<subject>subject|betreff|objet|asunto|oggetto|assunto|onderwerp|ämne) ?:",
    re.IGNORECASE,
)
_DEVICE: Final = re.compile(
    r"(?:sent from (?:my|mail for|outlook|yahoo|proton)\b.{0,100}|get outlook for .{1,60}"
    r"|(?:von meinem .{1,60} gesendet|gesendet (?:von meinem|mit der) .{1,80})"
    r"|envoyé (?:de|depuis) mon .{1,60}|enviado (?:desde|de) mi? .{1,60}|inviato da .{1,60})",
    re.IGNORECASE,
)


def new_part(text: str) -> str:
    """The text without the quoted mail and the signature at its end; all of it when nothing else would be left."""
    if len(text) > MAX_TEXT:
        return text
    lines = text.split("\n")
    end = _quote_start(lines)
    end = _signature_start(lines, end)
    kept = "\n".join(lines[:end]).rstrip()
    return kept if kept.strip() else text


def _quote_start(lines: Sequence[str]) -> int:
    """The line at which the quoted rest begins; the number of lines when there is none."""
    whole = next((number for number in range(len(lines)) if _begins_foreign_mail(lines, number)), len(lines))
    end = _back_over_blanks(lines, whole)
    start = end
    quoted = False
    while start and (not (bare := lines[start - 1].strip()) or bare.startswith(">")):
        quoted = quoted or bool(bare)
        start -= 1
    if not quoted:
        return end
    return _back_over_blanks(lines, _attribution_start(lines, start))


def _begins_foreign_mail(lines: Sequence[str], number: int) -> bool:
    """Whether from this line on a mail follows that nobody marked with ``>``: Outlook's way."""
    if len(lines[number]) <= MAX_LINE and _RULE.fullmatch(lines[number].strip()):
        number = _over_blanks(lines, number + 1)
    line = _bare(lines[number]) if number < len(lines) else ""
    if _SEPARATOR.fullmatch(line):
        return True
    if not _FIRST_FIELD.match(line):
        return False
    fields, subject = 0, False
    for bare in filter(None, map(_bare, lines[number + 1 : number + 16])):
        found = _LATER_FIELD.match(bare)
        if not found:
            break
        fields += 1
        # "From: Berlin, To: Paris, Date: Monday" is something that people write.
        subject = subject or found["subject"] is not None
    return subject and fields >= 2


def _attribution_start(lines: Sequence[str], quote: int) -> int:
    """Where "On ... wrote:" above a quote begins; `quote` when there is none."""
    last = _back_over_blanks(lines, quote)
    for count in range(1, MAX_ATTRIBUTION + 1):
        first = last - count
        if first < 0 or not lines[first].strip():
            break
        joined = " ".join(_bare(line) for line in lines[first:last])
        if len(joined) <= MAX_LINE and _ATTRIBUTION.fullmatch(joined):
            return first
    return last - 1 if last and _NAME_FIRST.fullmatch(_bare(lines[last - 1])) else quote


def _signature_start(lines: Sequence[str], end: int) -> int:
    """Where the signature above `end` begins; `end` when there is none."""
    for number in range(end):
        if lines[number] == "-- " or (lines[number] == "--" and end - number - 1 <= MAX_SIGNATURE):
            end = number
            break
    last = _back_over_blanks(lines, end)
    if last and _DEVICE.fullmatch(_bare(lines[last - 1])):
        return last - 1
    return end


def _bare(line: str) -> str:
    """A line without the marks of Markdown that conversion from HTML leaves; "" for one that is too long to matter."""
    return line.strip().replace("*", "").replace("\xa0", " ").strip() if len(line) <= MAX_LINE else ""


def _over_blanks(lines: Sequence[str], number: int) -> int:
    while number < len(lines) and not lines[number].strip():
        number += 1
    return number


def _back_over_blanks(lines: Sequence[str], end: int) -> int:
    while end and not lines[end - 1].strip():
        end -= 1
    return end
