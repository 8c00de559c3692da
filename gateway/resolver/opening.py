"""What signs the resolver's answers, as the settings say."""

from __future__ import annotations

import asyncio

from gateway.dm3.eth import parse_address
from gateway.resolver.command_signer import CommandSigner
from gateway.resolver.key_file import KeyFile
from gateway.resolver.signer import load_signer
from gateway.settings import EnsSettings


async def open_signer(ens: EnsSettings) -> CommandSigner | KeyFile:
    """A command of the operator's, or the key file, which is read; raises ConfigError."""
    if ens.signer_command and ens.signer_address is not None:
        return CommandSigner(
            ens.signer_command,
            parse_address(ens.signer_address),
            timeout=ens.signer_timeout_seconds,
            at_once=ens.signer_at_once,
        )
    path = ens.signer_key_file
    return KeyFile(path, await asyncio.to_thread(load_signer, path))
