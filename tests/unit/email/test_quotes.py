"""What of an answer is new: how programs quote, and what must stay."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.quotes import new_part

QUOTE = "> Are you there?\n>\n> Alice"
ATTRIBUTIONS = [
    "On Mon, Jan 4, 2027 at 10:00 AM Alice <alice.eth@gw.example> wrote:",
    "On Mon, Jan 4, 2027 at 10:00 AM Alice\n<alice.eth@gw.example> wrote:",
    "On 4 Jan 2027, at 10:00, alice.eth via DM3\n<alice.eth@gw.example>\nwrote:",
    "Am Mo., 4. Jan. 2027 um 10:00 Uhr schrieb Alice <alice.eth@gw.example>:",
    "Am 04.01.27 um 10:00 schrieb Alice:",
    "Alice schrieb am 04.01.2027 um 10:00:",
    "Le lun. 4 janv. 2027 à 10:00, Alice <alice.eth@gw.example> a écrit :",
    "Le 04/01/2027 à 10:00, Alice a écrit\xa0:",
    "El lun, 4 ene 2027 a las 10:00, Alice (<alice.eth@gw.example>) escribió:",
    "Il giorno lun 4 gen 2027 alle ore 10:00 Alice ha scritto:",
    "Op ma 4 jan 2027 om 10:00 schreef Alice <alice.eth@gw.example>:",
    "Alice <alice.eth@gw.example> wrote:",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_attributions(attribution: str, between: str) -> None:
    assert new_part(f"Yes.\n\n{attribution}{between}{QUOTE}") == "Yes."


OUTLOOK = [
    "From: Alice <alice.eth@gw.example>\nSent: Monday, January 4, 2027 10:00 AM\nTo: Bob\nSubject: Hello",
    "**From:** Alice <alice.eth@gw.example>\n**Sent:** Monday\n**To:** Bob\n**Subject:** Hello",
    "Von: Alice\nGesendet: Montag, 4. Januar 2027 10:00\nAn: Bob\nBetreff: Hallo",
    "De : Alice\nEnvoyé : lundi 4 janvier 2027 10:00\nÀ : Bob\nObjet : Bonjour",
    "De: Alice\nEnviado el: lunes, 4 de enero de 2027 10:00\nPara: Bob\nAsunto: Hola",
    "From: Alice\n\nDate: Monday\n\nTo: Bob\n\nCc: Carol\n\nSubject: Hello",
    "-----Original Message-----\nFrom: Alice",
    "-----Ursprüngliche Nachricht-----\nVon: Alice",
    "-------- Message d'origine --------\nDe: Alice",
    "-----Mensaje original-----\nDe: Alice",
]


@pytest.mark.parametrize("block", OUTLOOK)
@pytest.mark.parametrize("rule", ["", "________________________________\n", "* * *\n\n"])
def test_mails_that_are_quoted_without_marks(block: str, rule: str) -> None:
    assert new_part(f"Yes.\n\n{rule}{block}\n\nAre you there?\n\nAlice") == "Yes."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Yes.\n-- \nBob\nExample Ltd", "Yes."),
        ("Yes.\n\n-- \nBob\n\nOn Monday Alice wrote:\n> Really?", "Yes."),
        ("Yes.\n--\nBob", "Yes."),
        ("Yes.\n\nSent from my iPhone", "Yes."),
        ("Yes.\n\nSent from my iPhone\n\n> On Monday\n> Really?", "Yes."),
        ("Ja.\n\nVon meinem iPhone gesendet", "Ja."),
        ("Oui.\n\nEnvoyé de mon iPhone", "Oui."),
        ("Sí.\n\nEnviado desde mi iPhone", "Sí."),
        ("Yes.\n\nGet Outlook for iOS", "Yes."),
        ("Yes.\n> Really?", "Yes."),
        ("Yes.\n\n> Really?\n\n", "Yes."),
    ],
)
def test_signatures_and_bare_quotes(text: str, kept: str) -> None:
    assert new_part(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "> Really?\n\nYes.",
        "On Monday Alice wrote:\n> Really?\n\nYes.\n> And why?\nBecause.",
        "On Monday Alice wrote:\n> Really?",
        "> Really?",
        "-- \nBob",
        "He wrote:\nnothing at all",
        "From: Berlin\nTo: Paris\nDate: Monday",
        "a -- b\n--- \nc",
        "--\n" + "line\n" * 20 + "end",
        "----------\nFrom: the beginning",
        "Subject: no mail\nTo: nobody",
        "Sent from my iPhone",
    ],
)
def test_what_stays(text: str) -> None:
    assert new_part(text) == text


def test_a_line_above_a_quote_that_is_no_attribution_stays() -> None:
    assert new_part("My question was:\n> Really?") == "My question was:"


@given(st.lists(st.sampled_from(["Yes.", "> x", "", "-- ", "--", "On a b wrote:", "From: a", "Subject: b", "To: c"])))
def test_only_an_end_is_cut(lines: list[str]) -> None:
    text = "\n".join(lines)
    kept = new_part(text)
    assert text.startswith(kept)
    assert kept.strip() or not text.strip()
    assert new_part(kept) == kept or len(new_part(kept)) < len(kept)


@pytest.mark.parametrize(
    "piece",
    [
        "On ",
        "On a\n",
        "wrote: ",
        "From: a\n",
        "> a\n",
        ">",
        "\n",
        "-",
        "_" * 20 + "\n",
        "-- \n",
        "*From: ",
        "Le a écrit ",
    ],
)
def test_time_is_linear(piece: str) -> None:
    begin = time.process_time()
    new_part("hi\n" + piece * (190_000 // len(piece)) + "\n> x")
    assert time.process_time() - begin < 2
