"""End-to-bridge encryption, off unless the settings ask for it: what the rest of the adapter knows of it.

Every user of ours that is in an encrypted room has a device there, and people's clients give it the keys of what they
write. nio's cryptography is loaded only when this is opened. Client-Server API, "End-to-End Encryption"; MSC2409,
MSC3202 and MSC4190 for what an application service needs in place of a sync.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from adapters.matrix.client import Homeserver
from adapters.matrix.ids import Ids
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import ConfigError

if TYPE_CHECKING:
    from adapters.matrix.crypto.keys import Crypto
    from adapters.matrix.crypto.reading import Reader
    from adapters.matrix.status import Status
    from adapters.matrix.world import World

PURPOSE: Final = "matrix crypto store"
MISSING: Final = (
    "[adapters.matrix] encryption needs the extra matrix-e2ee; this installs it: pip install 'dm3-gateway[matrix-e2ee]'"
)
NO_STORE: Final = "[adapters.matrix] encryption needs crypto_store, a folder for the keys, on a disk of this node"
SEALED: Final = frozenset({"m.room.message", "m.sticker"})
"""Types that are encrypted; reactions and redactions are sent in clear, as clients do, and so is how far a message
came, because what is not shown by older clients must not look to them like a message that they cannot read."""


class SealingHomeserver(Homeserver):
    """A homeserver on which rooms may be encrypted."""

    crypto: Crypto


def crypto_store(settings: MatrixSettings) -> Path:
    """The folder for the keys; raises ConfigError when that or the extra is missing."""
    if find_spec("vodozemac") is None or find_spec("peewee") is None:
        raise ConfigError(MISSING)
    if settings.crypto_store is None:
        raise ConfigError(NO_STORE)
    return settings.crypto_store


async def open_crypto(homeserver: SealingHomeserver, ids: Ids, folder: Path, secret: bytes) -> Crypto:
    """Open the folder; raises ConfigError. ``secret``: 32 bytes, for what is in it."""
    from adapters.matrix.crypto.keys import Crypto

    homeserver.crypto = crypto = Crypto(homeserver, ids, folder, secret)
    await crypto.open()
    return crypto


def open_reader(world: World, crypto: Crypto, status: Status) -> Reader:
    """What opens the events that come in."""
    from adapters.matrix.crypto.reading import Reader

    return Reader(world, crypto, status)
