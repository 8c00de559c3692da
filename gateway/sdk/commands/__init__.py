"""What people can type: commands for whoever talks to the gateway itself, the same in every network.

Not loaded by `gateway.sdk`: an adapter that has a place for commands imports this package.
"""

from __future__ import annotations

from gateway.sdk.commands.command import Answer, Chat, Command
from gateway.sdk.commands.commands import ALL, Commands, find

__all__ = ["ALL", "Answer", "Chat", "Command", "Commands", "find"]
