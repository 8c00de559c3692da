"""All commands, and finding the one that somebody typed."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.ids import EnsName
from gateway.sdk.commands import leaving, messages, oneself, spam
from gateway.sdk.commands.command import Answer, Call, Chat, Command, House, UsageError
from gateway.sdk.commands.writing import list_of, literal
from gateway.sdk.delivery import Person
from gateway.sdk.people import PersonService

log = structlog.get_logger(__name__)

MAX_LINE: Final = 2_000
"""Characters of a line that is looked at."""


async def _help(call: Call) -> Answer:
    """All commands, or one of them."""
    if call.words:
        command = find(call.words[0])
        if command is None:
            return Answer(_unknown(call.words[0], call.house))
        others = ", ".join(f"`{each}`" for each in command.names[1:])
        also = f" Also: {others}." if others else ""
        return Answer(f"{call.house.typed(command.typed)}: {command.help}.{also}")
    return Answer(list_of(f"{call.house.typed(each.typed)}: {each.help}" for each in ALL))


ALL: Final = (
    Command(("help", "?"), "[command]", "what you can type", _help, 0, 1),
    *oneself.COMMANDS,
    *messages.COMMANDS,
    *spam.COMMANDS,
    *leaving.COMMANDS,
)
"""The table of commands, in the order in which they are listed."""
_BY_NAME: Final = {name: command for command in ALL for name in command.names}


def find(name: str) -> Command | None:
    """The command with this name, in capitals or not."""
    return _BY_NAME.get(name.lower())


class Commands:
    """Answers what people type; one for each adapter."""

    def __init__(
        self,
        people: PersonService,
        chat: Chat,
        *,
        parent: EnsName,
        public_url: str,
        now_ms: Callable[[], int],
        prefix: str = "",
        consent: str = "",
    ) -> None:
        """`people`, `parent`, `public_url` and `now_ms` are those of the adapter's context.

        `prefix` stands before what is shown as a command, such as ``!dm3 ``, and may be typed. `consent` is for
        networks that want more than a typed line for what is final: what to do, behind "If you mean it,".
        """
        self._house = House(people, chat, parent, public_url, now_ms, prefix, consent)

    async def run(self, person: Person, line: str) -> Answer:
        """Do what a line says. Raises Unavailable, when the line should come again later, and nothing else."""
        typed = self._without_prefix(line[:MAX_LINE].strip())
        first, *behind = typed.split(None, 1) or [""]
        rest = behind[0].strip() if behind else ""
        command = find(first) if first else ALL[0]
        if command is None:
            return Answer(_unknown(first, self._house))
        call = Call(self._house, person, tuple(rest.split()), rest)
        if not command.least <= len(call.words) <= command.most:
            reason = "Something is missing." if len(call.words) < command.least else "That is more than it takes."
            return self._usage(command, reason)
        try:
            return await command.run(call)
        except UsageError as error:
            return self._usage(command, str(error))
        except Unavailable:
            raise
        except GatewayError as error:
            log.info("command.refused", command=command.name, error=type(error).__name__, detail=error.detail)
            return Answer(error.sentence)
        except Exception:
            log.exception("command.failed", command=command.name)
            return Answer(GatewayError.sentence)

    def _without_prefix(self, line: str) -> str:
        prefix = self._house.prefix.strip()
        if not prefix or not line.lower().startswith(prefix.lower()):
            return line
        return line[len(prefix) :].lstrip()

    def _usage(self, command: Command, reason: str) -> Answer:
        return Answer(f"{reason} Usage: {self._house.typed(command.typed)}")


def _unknown(name: str, house: House) -> str:
    near = get_close_matches(name.lower()[:40], _BY_NAME, 1)
    meant = f" Did you mean {house.typed(near[0])}?" if near else ""
    return f"There is no command {literal(name)}.{meant} {house.typed('help')} lists them all."
