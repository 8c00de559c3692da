"""Commands by forms: the same commands as typed ones, step by step, and sessions that nobody else can take over."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import adhoc
from adapters.xmpp.services.adhoc import CommandAsked, Run, Show
from adapters.xmpp.services.sessions import LASTS_MS, MAX_EACH, MAX_SESSIONS, Session, Sessions
from adapters.xmpp.xml import child, well_formed
from gateway.sdk.commands import ALL, Answer
from tests.unit.xmpp.stanza_texts import BOB, IDS, made, request, wild_text


def asked(node: str, action: str = "", session: str = "", form: str = "") -> CommandAsked:
    """A step as it arrives."""
    return adhoc.read(
        request(
            f"<command xmlns='{ns.COMMANDS}' node='{node}' action='{action}' sessionid='{session}'>{form}</command>",
            "set",
        )
    )


def filled(var: str, *values: str, kind: str = "submit") -> str:
    inside = "".join(f"<value>{each}</value>" for each in values)
    return f"<x xmlns='jabber:x:data' type='{kind}'><field var='{var}'>{inside}</field></x>"


def step(asked: CommandAsked, sessions: Sessions, client: Jid = BOB, now_ms: int = 1_000) -> Show | Run:
    return adhoc.proceed(asked, client, sessions, new_id="s1", now_ms=now_ms)


def shown(show: Show | Run) -> Element:
    assert isinstance(show, Show)
    return made(show.payload)


def begun(node: str = "status") -> Sessions:
    show = step(asked(node, "execute"), Sessions())
    assert shown(show).get("status") == "executing"
    return show.sessions


def test_every_command_is_a_node() -> None:
    nodes = adhoc.nodes(IDS.gateway)
    assert [each.node for each in nodes] == [each.name for each in ALL]
    assert {each.jid for each in nodes} == {"dm3.example"}
    for each in nodes:
        assert adhoc.face(each.node).identities[0].type == "command-node"


@pytest.mark.parametrize("command", [each for each in ALL if each.most == 0], ids=lambda each: each.name)
def test_a_command_without_arguments_runs_at_once(command: object) -> None:
    name = command.name  # type: ignore[attr-defined]
    run = step(asked(name), Sessions())
    assert isinstance(run, Run)
    assert (run.line, run.sessions) == (name, Sessions())
    done = adhoc.answered(run, Answer("You are <bob>."), Sessions())
    result = shown(done)
    assert (result.get("status"), result.get("node"), result.get("sessionid")) == ("completed", name, "s1")
    note = child(result, ns.COMMANDS, "note")
    assert note is not None
    assert (note.text, note.get("type")) == ("You are <bob>.", "info")
    assert done.sessions == Sessions()


@pytest.mark.parametrize("action", ["", "execute", "next", "complete"])
@pytest.mark.parametrize(
    ("typed", "line"),
    [(("alice.eth",), "status alice.eth"), (("",), "status"), ((), "status"), (("a", "b"), "status a b")],
)
def test_arguments_are_asked_for(action: str, typed: tuple[str, ...], line: str) -> None:
    sessions = begun()
    run = step(asked("status", action, "s1", filled("arguments", *typed)), sessions)
    assert isinstance(run, Run)
    assert run.line == line
    assert run.sessions == Sessions()


def test_the_form_says_what_is_wanted() -> None:
    form = child(shown(step(asked("block"), Sessions())), ns.DATA_FORM, "x")
    assert form is not None
    field = child(form, ns.DATA_FORM, "field")
    assert field is not None
    assert field.attrib == {"var": "arguments", "type": "text-single", "label": "[name]"}
    required = child(shown(step(asked("chat"), Sessions())), ns.DATA_FORM, "x")
    assert required is not None
    assert any(each.tag.endswith("required") for each in required.iter())


def test_a_request_that_comes_twice_runs_once() -> None:
    again = asked("status", "complete", "s1", filled("arguments", "a.eth"))
    run = step(again, begun())
    with pytest.raises(BadStanza, match="bad-request"):
        step(again, run.sessions)


@pytest.mark.parametrize(("action", "form"), [("cancel", ""), ("", filled("arguments", kind="cancel"))])
def test_a_command_can_be_cancelled(action: str, form: str) -> None:
    done = step(asked("status", action, "s1", form), begun())
    assert shown(done).get("status") == "canceled"
    assert done.sessions == Sessions()


def confirming() -> tuple[Sessions, Element]:
    run = step(asked("delete-me", "complete", "s1", filled("arguments", "")), begun("delete-me"))
    assert isinstance(run, Run)
    show = adhoc.answered(run, Answer("It is final.", confirm="delete-me bob.eth"), run.sessions)
    return show.sessions, shown(show)


def test_what_cannot_be_undone_is_confirmed() -> None:
    sessions, form = confirming()
    assert form.get("status") == "executing"
    assert "It is final." in [each.text for each in form.iter()]
    run = step(asked("delete-me", "complete", "s1", filled("confirmed", "1")), sessions)
    assert isinstance(run, Run)
    assert run.line == "delete-me bob.eth"


@pytest.mark.parametrize("form", ["", filled("confirmed", "0"), filled("confirmed"), filled("arguments", "bob.eth")])
def test_without_a_yes_nothing_is_done(form: str) -> None:
    done = step(asked("delete-me", "complete", "s1", form), confirming()[0])
    assert shown(done).get("status") == "canceled"
    assert done.sessions == Sessions()


def test_there_is_a_way_back_from_the_confirmation() -> None:
    back = step(asked("delete-me", "prev", "s1"), confirming()[0])
    assert shown(back).get("status") == "executing"
    run = step(asked("delete-me", "complete", "s1", filled("confirmed", "1")), back.sessions)
    assert isinstance(run, Run)
    assert run.line == "delete-me"


@pytest.mark.parametrize(
    ("request_of", "client", "now_ms", "special"),
    [
        (("status", "complete", "s2"), BOB, 1_000, "bad-sessionid"),
        (("pause", "complete", "s1"), BOB, 1_000, "bad-sessionid"),
        (("status", "complete", "s1"), Jid("bob", "example.org", "laptop"), 1_000, "bad-sessionid"),
        (("status", "complete", "s1"), Jid("eve", "example.org", "phone"), 1_000, "bad-sessionid"),
        (("status", "complete", "s1"), BOB, 1_000 + LASTS_MS, "bad-sessionid"),
        (("status", "prev", "s1"), BOB, 1_000, "bad-action"),
        (("status", "complete", ""), BOB, 1_000, "bad-action"),
    ],
)
def test_steps_that_there_are_not(request_of: tuple[str, str, str], client: Jid, now_ms: int, special: str) -> None:
    with pytest.raises(BadStanza) as caught:
        step(asked(*request_of), begun(), client, now_ms)
    assert caught.value.condition is Condition.BAD_REQUEST
    assert caught.value.special is not None
    assert caught.value.special.name == special


def test_unknown_commands_and_actions() -> None:
    with pytest.raises(BadStanza, match="item-not-found"):
        step(asked("shutdown"), Sessions())
    with pytest.raises(BadStanza, match="item-not-found"):
        adhoc.face("shutdown")
    with pytest.raises(BadStanza, match="no such action"):
        asked("status", "jump")
    with pytest.raises(BadStanza, match="bad-request"):
        adhoc.read(request(f"<command xmlns='{ns.COMMANDS}' node='status'/>", "get"))
    with pytest.raises(BadStanza, match="not-acceptable"):
        step(asked("status", "complete", "s1", filled("arguments", "x" * 1_501)), begun())


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=60))
@settings(max_examples=50)
def test_sessions_are_bounded_for_each_and_for_all(begun: list[tuple[int, int]]) -> None:
    sessions = Sessions()
    for at, (owner, number) in enumerate(begun):
        sessions = sessions.having(Session(f"{owner}-{number}", str(owner), "phone", "status", at))
    owners = [each.owner for each in sessions.open]
    assert all(owners.count(owner) <= MAX_EACH for owner in owners)
    assert len({each.id for each in sessions.open}) == len(owners)
    if begun:
        owner, number = begun[-1]
        assert sessions.find(f"{owner}-{number}", str(owner), "phone", len(begun)) is not None


def test_there_are_never_more_than_all() -> None:
    sessions = Sessions()
    for number in range(MAX_SESSIONS + 50):
        sessions = sessions.having(Session(str(number), str(number), "", "status", 0))
    assert len(sessions.open) == MAX_SESSIONS
    assert sessions.open[0].id == "50"


@given(wild_text, wild_text)
@settings(max_examples=50)
def test_whatever_the_answer_it_is_well_formed(text: str, line: str) -> None:
    run = Run("status", Session("s1", "bob@example.org", "phone", "status", 0), Sessions())
    assert well_formed(adhoc.answered(run, Answer(text), Sessions()).payload)
    assert well_formed(adhoc.answered(run, Answer(text, confirm=line or "x"), Sessions()).payload)
