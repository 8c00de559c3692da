"""Commands of somebody who takes their data along, or leaves: export, delete-me."""

from __future__ import annotations

from typing import Final

from gateway.sdk.commands.command import Answer, Call, Command
from gateway.sdk.commands.reading import read_name
from gateway.sdk.commands.writing import number_of


async def export(call: Call) -> Answer:
    """All that is kept, as a file."""
    file = await call.people.export(call.person)
    return Answer(
        "This is what the gateway keeps about you: who you are here, your rules, what became of your messages, and "
        "what waits. It has the text of those that wait or failed, which is kept until then, and no key.",
        file,
    )


async def delete_me(call: Call) -> Answer:
    """Delete, when one's own name is typed behind the command."""
    view = await call.people.about(call.person)
    if view.since is None:
        return Answer("You have no name here yet, and nothing is kept about you.")
    if not call.words or read_name(call.words[0]) != view.name:
        return Answer(
            f"This deletes the keys of `{view.name}`, and with them all that could be read with them; your rules and "
            "display name; what is known about your messages; and the messages that still wait, both ways. "
            "What others have received stays with them. The name is never given again, to you neither: it is final, "
            "and nobody can undo it.\n\n"
            f"If you mean it, {call.house.meant(f'delete-me {view.name}')}. "
            f"{call.house.typed('export')} gives you your data first.",
            confirm=f"delete-me {view.name}",
        )
    removed = await call.people.delete(call.person)
    return Answer(
        f"`{view.name}` is deleted, for good. With its keys went {number_of(removed.waiting, 'waiting message')}, "
        f"{number_of(removed.failed, 'failed message')}, and "
        f"{number_of(removed.statuses + removed.links, 'note')} about messages. "
        "All that stays is a digest, by which the name is never given again and nobody can tell that it was yours.",
        deleted=True,
    )


COMMANDS: Final = (
    Command(("export",), "", "a file with all that is kept about you", export),
    Command(
        ("delete-me",),
        "<your own name>",
        "delete your keys and all that is kept about you, for good",
        delete_me,
        *(0, 1),
        final=True,
    ),
)
