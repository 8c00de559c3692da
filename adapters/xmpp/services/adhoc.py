"""Commands by forms (XEP-0050): the same that people type to the gateway, each a node.

A command without arguments runs at once, one with arguments asks for them in a form, and one that cannot be undone
asks once more. Nothing runs here: `proceed` says what is to be shown or which line is to be run, `answered` shows what
that gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition, Special
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import forms
from adapters.xmpp.services.disco import Face, Identity, Item
from adapters.xmpp.services.forms import Field, Form, Submitted
from adapters.xmpp.services.sessions import Session, Sessions
from adapters.xmpp.stanzas import Kind, Request
from adapters.xmpp.xml import NOTHING, Xml, attribute, leaf, tag
from gateway.sdk.commands import ALL, Answer, Command

ARGUMENTS: Final = "arguments"
CONFIRMED: Final = "confirmed"
MAX_ARGUMENTS: Final = 1_500
MAX_ID: Final = 200
_ACTIONS: Final = frozenset({"", "execute", "next", "complete", "cancel", "prev"})
_BY_NODE: Final[Mapping[str, Command]] = MappingProxyType({command.name: command for command in ALL})


@dataclass(frozen=True, slots=True)
class CommandAsked:
    """A step of a command."""

    node: str
    action: str
    """``execute``, ``next``, ``complete``, ``cancel``, ``prev``, or empty for the default."""
    session: str
    """Empty for the first step."""
    filled: Submitted | None


@dataclass(frozen=True, slots=True)
class Show:
    """An answer at once."""

    payload: Xml
    sessions: Sessions


@dataclass(frozen=True, slots=True)
class Run:
    """A line for `gateway.sdk.commands.Commands`, whose answer goes to `answered`.

    Its session is closed already, so that a request that comes twice runs it once.
    """

    line: str
    session: Session
    sessions: Sessions


def read(request: Request) -> CommandAsked:
    """Raises BadStanza, with malformed-action for an action that there is not."""
    if request.kind is not Kind.SET:
        raise BadStanza(Condition.BAD_REQUEST, "A command is executed by set.")
    action = attribute(request.payload, "action", MAX_ID)
    if action not in _ACTIONS:
        raise _fault("malformed-action", "There is no such action.")
    return CommandAsked(
        attribute(request.payload, "node", MAX_ID),
        action,
        attribute(request.payload, "sessionid", MAX_ID),
        forms.read_form(request.payload),
    )


def nodes(gateway: Jid) -> tuple[Item, ...]:
    """The list of commands (section 2.2), for `disco.items`."""
    return tuple(Item(str(gateway), each.name, f"{each.name}: {each.help}") for each in ALL)


def face(node: str) -> Face:
    """What a command answers to discovery (section 2.4). Raises BadStanza with item-not-found for another node."""
    command = _command(node)
    return Face(
        (Identity("automation", "command-node", command.name),),
        (ns.COMMANDS, ns.DATA_FORM),
    )


def proceed(asked: CommandAsked, client: Jid, sessions: Sessions, *, new_id: str, now_ms: int) -> Show | Run:
    """The next step. ``new_id`` names the session if one begins, and must not be guessable.

    Raises BadStanza: item-not-found for no command, bad-sessionid for a session that is not this client's or is over,
    bad-action for a step that there is not now.
    """
    command = _command(asked.node)
    owner = str(client.bare)
    if not asked.session:
        if asked.action not in ("", "execute"):
            raise _fault("bad-action", "A command begins with execute.")
        session = Session(new_id, owner, client.resource, command.name, now_ms)
        if command.most == 0:
            return Run(command.name, session, sessions)
        return Show(_ask(command, session), sessions.having(session))
    found = sessions.find(asked.session, owner, client.resource, now_ms)
    if found is None or found.command != command.name:
        raise _fault("bad-sessionid", "This command is over; please begin again.")
    return _continue(asked, command, found, sessions)


def _continue(asked: CommandAsked, command: Command, session: Session, sessions: Sessions) -> Show | Run:
    filled = asked.filled or Submitted()
    rest = sessions.without(session.id)
    if asked.action == "cancel" or filled.cancelled:
        return Show(_command_element(session, "canceled"), rest)
    if asked.action == "prev":
        if not session.confirm or command.most == 0:
            raise _fault("bad-action", "There is nothing before this.")
        first = replace(session, confirm="")
        return Show(_ask(command, first), sessions.having(first))
    if session.confirm:
        if not filled.is_on(CONFIRMED):
            return Show(_command_element(session, "canceled", _note("Nothing was done.")), rest)
        return Run(session.confirm, session, rest)
    typed = " ".join(filled.values(ARGUMENTS)).strip()
    if len(typed) > MAX_ARGUMENTS:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"At most {MAX_ARGUMENTS} characters are taken.")
    return Run(f"{command.name} {typed}".rstrip(), session, rest)


def answered(run: Run, answer: Answer, sessions: Sessions) -> Show:
    """What a line gave; ``sessions`` as they are by now. A file of the answer is for the caller to send."""
    if answer.confirm is None:
        return Show(_command_element(run.session, "completed", _note(answer.text)), sessions)
    session = replace(run.session, confirm=answer.confirm)
    made = Form(
        (
            forms.fixed(answer.text),
            Field(CONFIRMED, ("0",), "boolean", "Yes, do it", required=True),
        ),
        title=session.command,
    )
    return Show(
        _command_element(session, "executing", _actions(back=_BY_NODE[session.command].most > 0), forms.form(made)),
        sessions.having(session),
    )


def _ask(command: Command, session: Session) -> Xml:
    made = Form(
        (Field(ARGUMENTS, label=command.usage, required=command.least > 0),),
        title=command.name,
        instructions=f"{command.help[:1].upper()}{command.help[1:]}.",
    )
    return _command_element(session, "executing", _actions(back=False), forms.form(made))


def _command(node: str) -> Command:
    command = _BY_NODE.get(node)
    if command is None:
        raise BadStanza(Condition.ITEM_NOT_FOUND, "There is no such command.")
    return command


def _command_element(session: Session, status: str, *parts: Xml) -> Xml:
    return tag("command", *parts, xmlns=ns.COMMANDS, node=session.command, sessionid=session.id, status=status)


def _actions(*, back: bool) -> Xml:
    return tag("actions", tag("prev") if back else NOTHING, tag("complete"), execute="complete")


def _note(text: str) -> Xml:
    return leaf("note", text, type="info")


def _fault(special: str, text: str) -> BadStanza:
    """Errors of commands are bad requests that say more (section 4.2)."""
    return BadStanza(Condition.BAD_REQUEST, text, special=Special(ns.COMMANDS, special))
