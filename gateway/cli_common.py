"""What commands share: where they print, how they find configuration and store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.errors import ConfigError
from gateway.settings import Settings, find_config, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.ids import EnsName
    from gateway.store import Store
    from gateway.subnames.policy import Policy


class Printer:
    """A console that is made, and its library loaded, when something is printed: a node that serves prints nothing."""

    def __init__(self, *, stderr: bool) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> Console:
        """The console behind it."""
        from rich.console import Console

        return Console(stderr=self._stderr, soft_wrap=True, highlight=False, emoji=False)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks."""
        return self.console.is_terminal

    def print(self, *what: Any, **how: Any) -> None:
        """As ``rich.console.Console.print``."""
        self.console.print(*what, **how)

    def print_json(self, text: str) -> None:
        """As ``rich.console.Console.print_json``."""
        self.console.print_json(text)


out = Printer(stderr=False)
err = Printer(stderr=True)


def plain(text: str) -> str:
    """A stranger's words for a terminal, which they must not steer: what is no visible character becomes U+FFFD."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below their heads; nothing in a cell is markup, for strangers may have written it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    out.print(table)


ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file.", show_default="./gateway.toml")
]
CHOSEN_PARENT: ContextVar[str | None] = ContextVar("chosen_parent", default=None)
"""What ``names --parent`` said, for the command behind it."""
OPERATOR = "operator"
"""Who runs commands, as the audit log names them."""


@dataclass(frozen=True, slots=True)
class House:
    """An installation with its store open."""

    settings: Settings
    parent: EnsName
    """The one that is meant."""
    policies: Mapping[EnsName, Policy]
    """Of every parent."""
    store: Store


@asynccontextmanager
async def opened(config: Path | None) -> AsyncIterator[House]:
    """Read the configuration and open the store directly; raises ConfigError, SchemaMismatch, Unavailable.

    The parent is the one that ``names --parent`` named, else the gateway's own.
    """
    from gateway.operations.installation import parent_name
    from gateway.store import Store
    from gateway.subnames.policy import policies

    settings = load_settings(find_config(config))
    parent = parent_name(settings.ens.parent)
    issuing = policies(parent, settings.subnames)
    chosen = CHOSEN_PARENT.get()
    if chosen is not None:
        parent = parent_name(chosen)
        if parent not in issuing:
            raise ConfigError(f"--parent: no names are issued under {parent}; see [[subnames.parents]]")
    async with await Store.open(settings.store.url) as store:
        yield House(settings, parent, issuing, store)


def parents_of(settings: Settings) -> tuple[EnsName, ...]:
    """The names that names are issued under; raises ConfigError."""
    from gateway.operations.installation import parent_name
    from gateway.subnames.policy import policies

    return tuple(policies(parent_name(settings.ens.parent), settings.subnames))


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A line that counts rows while something long is done; nothing where nobody looks."""
    if not err.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err.console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.update(task, completed=count)


def name_below(text: str, parent: EnsName) -> EnsName:
    """A name as typed: ``bob`` is meant below the parent. Raises InvalidName."""
    from gateway.ens.names import is_under, normalise
    from gateway.errors import InvalidName

    name = normalise(text if "." in text else f"{text}.{parent}")
    if not is_under(name, parent):
        raise InvalidName(f"{name} is not a name below {parent}")
    return name
