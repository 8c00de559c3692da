"""Programs that answer every message, at the gateway's own address: no two of them talk for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.xmpp_stanza import Stanza, element
from tests.integration.xmpp.gates import BOB, Gate, opened_gate
from tests.support.component_server import COMPONENT, DOMAIN, condition, pong

pytestmark = pytest.mark.xdist_group("xmpp")

CAROL = f"carol@{DOMAIN}/x"


def say(gate: Gate, text: str, **attributes: str) -> None:
    gate.say(element("body", text=text), **{"to": COMPONENT, "type": "chat", **attributes})


async def answered(gate: Gate, to: str = BOB) -> list[Stanza]:
    """What the gateway itself said to somebody, once everything until now was handled."""
    before = [each for each in gate.server.heard.items if each.has("query")]
    gate.say("<query xmlns='jabber:iq:version'/>", **{"from": to, "to": COMPONENT, "type": "get", "name": "iq"})
    await gate.server.heard.first(lambda each: each.has("query") and each not in before, 15)
    return [
        each
        for each in gate.server.heard.items
        if each.name == "message" and each.sender == COMPONENT and each.to.partition("/")[0] == to.partition("/")[0]
    ]


@pytest.mark.parametrize(
    "words", [None, "I am away until Monday.", "Help is on the way!", "help is on the way", "status of me is away"]
)
async def test_an_answer_to_an_answer_is_the_last(gate: Gate, words: str | None) -> None:
    """With the same words each time, or with the gateway's own."""
    counts: list[str] = []

    def echo(stanza: Stanza) -> str:
        body = stanza.text("body")
        if stanza.name != "message" or body is None or len(counts) > 50:
            return pong(stanza)
        counts.append(body)
        said = element("body", text=words or body)
        return element("message", {"from": BOB, "to": COMPONENT, "type": "chat", "id": f"e{len(counts)}"}, said)

    gate.server.answers = echo
    say(gate, "help")
    for _ in range(5):
        await answered(gate)
    assert len(counts) == 2


async def test_what_is_no_command_is_answered_once_in_some_minutes(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        say(gate, f"what {number}")
    assert len(await answered(gate)) == 1
    # Each person for themselves.
    say(gate, "what", **{"from": CAROL})
    assert len(await answered(gate, CAROL)) == 1
    # Who knows how to do it is no program.
    say(gate, "help")
    say(gate, "what")
    say(gate, "help me out")
    assert len(await answered(gate)) == 3


async def test_a_headline_is_never_answered(gate: Gate) -> None:
    say(gate, "help", type="headline")
    assert await answered(gate) == []


async def test_commands_have_a_rate(tmp_path: Path) -> None:
    async with opened_gate(tmp_path, messages_per_minute=20) as gate:
        for _ in range(30):
            say(gate, "help")
        said = await answered(gate)
        refused = [each for each in said if condition(each) == "resource-constraint"]
        assert 0 < len(refused) <= 10
        assert len(said) == 30
