"""What a command is: its names and usage for people, the function that does it, and what that gets and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.ids import CanonicalId, EnsName
from gateway.sdk.attachments import FileContent
from gateway.sdk.delivery import Person
from gateway.sdk.people import PersonService

Chat = Callable[[Person, EnsName], Awaitable[str]]
"""Begins a conversation of a person with a name in the network's own way; gives a sentence that says where it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody reads: plain text with Markdown's `- ` for lists and back-ticks for what is to be taken literally.

    Inside back-ticks there is never another back-tick, and what strangers wrote stands nowhere else.
    """

    text: str
    file: FileContent | None = None
    confirm: str | None = None
    """The command that carries out what was asked for, which cannot be undone."""
    deleted: bool = False
    """True when the person was deleted: what the adapter keeps about them has to go too."""


class UsageError(Exception):
    """Arguments that are not right; the text is a sentence for whoever typed them."""


@dataclass(frozen=True, slots=True)
class House:
    """The gateway around the commands."""

    people: PersonService
    chat: Chat
    parent: EnsName
    public_url: str
    now_ms: Callable[[], int]
    prefix: str
    """What is typed before a command; empty where people write to nobody but the gateway."""
    consent: str = ""
    """How somebody says that they mean it, where typing the whole of a final command is not enough; "" where it is."""

    def typed(self, command: str) -> str:
        """A command as one types it, to be shown."""
        return f"`{self.prefix}{command}`"

    def meant(self, command: str) -> str:
        """What to do to have a final command carried out, behind "If you mean it,"."""
        return self.consent or f"type {self.typed(command)}"


@dataclass(frozen=True, slots=True)
class Call:
    """One command of one person."""

    house: House
    sender: Person
    words: tuple[str, ...]
    """What stands behind the command's name."""
    rest: str = field(repr=False)
    """The same, with its blanks."""

    @property
    def people(self) -> PersonService:
        """What the person knows and decides about themselves."""
        return self.house.people

    @property
    def person(self) -> CanonicalId:
        """Who typed it."""
        return self.sender.canonical_id


@dataclass(frozen=True, slots=True)
class Command:
    """``usage`` is what stands behind the first of ``names``; ``most`` is the number of words that it takes."""

    names: tuple[str, ...]
    usage: str
    help: str
    """One line without a full stop."""
    run: Callable[[Call], Awaitable[Answer]]
    least: int = 0
    most: int = 0
    final: bool = False
    """True when nobody can undo it: alone it asks (`Answer.confirm`), with what it asks for it is done."""

    @property
    def name(self) -> str:
        """By which it is listed."""
        return self.names[0]

    @property
    def typed(self) -> str:
        """Name and usage."""
        return f"{self.name} {self.usage}".rstrip()
