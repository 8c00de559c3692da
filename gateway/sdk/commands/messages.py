"""Commands about messages: status, retry, pause, resume."""

from __future__ import annotations

from typing import Final

from gateway.sdk.commands.command import Answer, Call, Command
from gateway.sdk.commands.reading import read_duration, read_name
from gateway.sdk.commands.writing import list_of, literal, number_of, time_of
from gateway.sdk.people import SentMessage

SHOWN: Final = 10
MOST_FAILED: Final = 100
DEFAULT_PAUSE_MS: Final = 24 * 3_600_000


async def status(call: Call) -> Answer:
    """What became of the last messages, and what is still to come."""
    recipient = read_name(call.words[0]) if call.words else None
    sent = await call.people.recent(call.person, SHOWN, recipient)
    parts = [list_of(map(_line, sent))] if sent else ["Of your last messages nothing is known yet."]
    if recipient is None:
        leaving = await call.people.leaving(call.person)
        if leaving.messages:
            since = f" since {time_of(leaving.oldest_at)}" if leaving.oldest_at is not None else ""
            reason = f" The last try failed: {literal(leaving.reason)}" if leaving.reason else ""
            parts.append(f"{number_of(leaving.messages, 'message')} wait to be sent{since}.{reason}")
    failed = len(await call.people.failed(call.person, MOST_FAILED, recipient))
    if failed:
        which = f"retry {recipient}" if recipient else "retry"
        parts.append(f"{number_of(failed, 'message')} failed and can be sent again: {call.house.typed(which)}")
    return Answer("\n\n".join(parts))


async def retry(call: Call) -> Answer:
    """Send again what failed, and try at once what waits."""
    recipient = read_name(call.words[0]) if call.words else None
    done = await call.people.retry(call.person, recipient)
    if not done.messages and not done.conversations:
        return Answer("There is nothing to send again; what failed is kept for a week.")
    parts = []
    if done.messages:
        parts.append(f"{number_of(done.messages, 'message')} on the way again.")
    if done.conversations:
        parts.append(f"{number_of(done.conversations, 'conversation')} that waited: tried now.")
    return Answer(" ".join(parts))


async def pause(call: Call) -> Answer:
    """Let everything wait for a while."""
    lasting = read_duration(call.words[0]) if call.words else DEFAULT_PAUSE_MS
    until = await call.people.pause(call.person, call.house.now_ms() + lasting)
    return Answer(
        f"Nothing is delivered to you until {time_of(until)}; it waits here meanwhile. "
        f"{call.house.typed('resume')} ends the pause."
    )


async def resume(call: Call) -> Answer:
    """Deliver again."""
    waiting = await call.people.resume(call.person)
    comes = f" {number_of(waiting, 'conversation')} waited and come now." if waiting else ""
    return Answer(f"Messages are delivered to you again.{comes}")


def _line(sent: SentMessage) -> str:
    reason = f": {literal(sent.reason)}" if sent.reason else ""
    return f"{time_of(sent.at)} to `{sent.recipient}`: {sent.state}{reason}"


COMMANDS: Final = (
    Command(("status",), "[name]", "what became of your last messages", status, 0, 1),
    Command(("retry",), "[name]", "send again what failed, to everybody or to one name", retry, 0, 1),
    Command(
        ("pause",), "[30m | 1h | 1d | ...]", "let messages to you wait, for a day if you name no time", pause, 0, 1
    ),
    Command(("resume",), "", "end the pause", resume),
)
