"""Commands about who one is: whoami, name, claim, level."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from gateway.sdk.commands.command import Answer, Call, Command
from gateway.sdk.commands.reading import read_label, read_name
from gateway.sdk.commands.writing import list_of, literal, time_of
from gateway.sdk.people import PersonView

LEVELS: Final = {
    "bridged": "bridged: this gateway holds the keys of your name, so it can read what you write and receive",
    "owned": "owned: a name of your wallet leads to you; this gateway still holds the keys for messages, and can read",
    "moved": "moved: your own name leads to another delivery service now; what comes here is sent after it for 30 days",
}
RESET: Final = "-"


async def chat(call: Call) -> Answer:
    """The network decides how a conversation looks."""
    return Answer(await call.house.chat(call.sender, read_name(call.words[0])))


async def whoami(call: Call) -> Answer:
    """All that others and the gateway know of somebody."""
    view = await call.people.about(call.person)
    if view.since is None:
        return Answer(
            f"You are {literal(view.canonical_id)}. With your first message you get the name `{view.name}`, "
            "and whoever has DM3 can write to you there."
        )
    lines = [f"Your name here: `{view.name}`"]
    if view.shown_name != view.name:
        lines.append(f"Others see: `{view.shown_name}`")
    lines.append(f"Level: {_level(view)}")
    if view.display_name:
        lines.append(f"Display name: {literal(view.display_name)}")
    if view.address is not None:
        lines.append(f"Address: `{view.address}`")
    lines.append(f"Here since {time_of(view.since)}")
    if (view.paused_until or 0) > call.house.now_ms():
        lines.append(f"Deliveries are paused until {time_of(view.paused_until or 0)}: {call.house.typed('resume')}")
    return Answer(list_of(lines))


async def name(call: Call) -> Answer:
    """Show or choose the display name."""
    if not call.rest:
        view = await call.people.about(call.person)
        shown = f"Your display name is {literal(view.display_name)}." if view.display_name else "You have none."
        return Answer(f"{shown} {call.house.typed('name Jane Doe')} changes it.")
    if call.rest == RESET:
        await call.people.set_display_name(call.person, "")
        return Answer("From your next message on, your display name is the one that your network tells.")
    view = await call.people.set_display_name(call.person, call.rest)
    return Answer(f"Your display name is {literal(view.display_name)} now, whatever your network tells.")


async def claim(call: Call) -> Answer:
    """Where names are claimed, and how one is linked: both need a wallet, which no network of messages has."""
    house = call.house
    view = await house.people.about(call.person)
    label = read_label(call.words[0]) if call.words else None
    page = f"{house.public_url}/claim" + (f"?name={quote(label, safe='')}" if label else "")
    wanted = f"`{label}.{house.parent}`" if label else f"a name under `{house.parent}`"
    return Answer(
        f"Claim {wanted} with your wallet: {page}\n\n"
        "Then let it lead to you here, in two steps:\n"
        f"- At {house.public_url}/me sign in with that wallet, choose the name, and under \u201cOther networks\u201d "
        f"enter {literal(view.network)} and your address, {literal(view.canonical_id)}. A code comes to you here.\n"
        "- Type the code there and sign. From then on others see that name, and what they write to it reaches you here."
    )


async def level(call: Call) -> Answer:
    """What the level of trust means, and the way to the next one."""
    house = call.house
    view = await house.people.about(call.person)
    here = f"You are {_level(view)}."
    further = {
        "bridged": (
            f"To be known by a name that nobody can take from you, claim one with a wallet: {house.typed('claim')}. "
            "Linked to you, your level is owned."
        ),
        "owned": (
            f"At {house.public_url}/me you can end the link, give the name away, or publish a DM3 profile of another "
            "delivery service in it: then you have moved, and hold your keys yourself."
        ),
        "moved": f"Linking the name again at {house.public_url}/me brings it back here.",
    }
    return Answer(f"{here}\n\n{further.get(view.level, '')}".rstrip())


def _level(view: PersonView) -> str:
    return LEVELS.get(view.level, view.level)


COMMANDS: Final = (
    Command(("chat", "dm", "write"), "<name>", "begin a conversation with an ENS name", chat, 1, 1),
    Command(("whoami", "me"), "", "your name here, and what others see of you", whoami),
    Command(
        ("name",), "[display name | -]", "show or choose your display name; - leaves it to your network", name, 0, 50
    ),
    Command(("claim",), "[label]", "how to get a name of your own and link it to you", claim, 0, 1),
    Command(("level",), "", "who holds your keys, and how to get further", level),
)
