"""What an adapter must be, and what it may be able to do besides.

The mandatory part is small. Each further ability is a protocol of its own that the gateway looks up once, so
that an adapter never carries a method which only raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from gateway.ids import CanonicalId, Network
from gateway.sdk.capabilities import Capabilities
from gateway.sdk.context import AdapterContext, BridgedPerson
from gateway.sdk.delivery import Delivery, Outcome, StatusReport
from gateway.sdk.notices import MailNotice


class Adapter(Protocol):
    """A door to one foreign network, found by the entry point group ``dm3_gateway.adapters``.

    The class is called with its validated settings (a `Settings` value) and does no I/O before `open`.
    """

    name: ClassVar[Network]
    """Zone label, settings section and entry point: ``[adapters.<name>]`` switches it on."""
    capabilities: ClassVar[Capabilities]
    Settings: ClassVar[type[BaseModel]]

    def __init__(self, settings: Any) -> None: ...

    async def open(self, ctx: AdapterContext) -> None:
        """Connect and listen. What this raises stops the start of the gateway."""

    async def run(self) -> None:
        """Work until cancelled. An adapter that only reacts may wait for ever."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Hand one message to the network; anything raised counts as `Retry` with the usual back-off."""

    async def close(self) -> None:
        """Stop taking in, finish what was begun, disconnect. May be called after a failed `open`, and twice."""


@runtime_checkable
class ReportsStatus(Protocol):
    """Shows people of the network how far their message came."""

    async def report(self, status: StatusReport) -> None:
        """Show one change.

        A failure that raises comes again, with the usual back-off, for some days; other news are told once.
        """


@runtime_checkable
class SendsNotices(Protocol):
    """Can send mail in the gateway's own name, to addresses that need not be bridged people."""

    async def send_notice(self, notice: MailNotice) -> Outcome:
        """Try once, as `Adapter.deliver` does.

        From is an address that nobody answers, and the mail is marked as automatic.
        """


@runtime_checkable
class HasOneLink(Protocol):
    """Reaches its network from one node at a time (`AdapterContext.hold`)."""

    @property
    def elsewhere(self) -> bool:
        """True while another node has the link, or none: deliveries are that node's, or wait without being tried."""


@runtime_checkable
class ReportsReadiness(Protocol):
    """Can tell whether its network is within reach; asked every few seconds at most."""

    async def reach(self) -> None:
        """Return when what it needs there answers, or is another node's for now; raise when it does not.

        Takes three seconds at most, and leaves nothing behind there.
        """


@runtime_checkable
class ServesHttp(Protocol):
    """Has routes on the gateway's own HTTP server."""

    def routes(self) -> Sequence[BaseRoute]:
        """Routes with absolute paths, asked for once before the server starts."""


@runtime_checkable
class Registers(Protocol):
    """Has files by which a server of the network knows the gateway; an ability of the class, nothing is opened."""

    @classmethod
    def registrations(cls, settings: Any, public_url: str) -> Mapping[str, str]:
        """Their texts by their names, from a `Settings` value; one for each kind of server.

        They may hold secrets. Raises ConfigError when those cannot be read. ``public_url`` is where the world finds
        the gateway.
        """


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Keys for an installation that has none yet."""

    settings: Mapping[str, Any]
    """What the adapter's table says of them: names of files, without a folder."""
    files: Mapping[str, str] = field(repr=False)
    """Their texts by their names."""
    publish: Sequence[str] = ()
    """What the world must be shown of them before they are used: lines to be copied, without secrets."""


@runtime_checkable
class BringsKeys(Protocol):
    """Needs keys of a kind that only it knows how to make; an ability of the class, nothing is opened or written."""

    @classmethod
    def new_keys(cls, label: str = "") -> NewKeys:
        """Fresh ones; may take a second. Those with a label (letters and digits) can be published beside others."""


@runtime_checkable
class ServesTrees(Protocol):
    """Has paths that are asked so often, and by programs only, that the application's middleware would be a burden."""

    def trees(self) -> Mapping[str, ASGIApp]:
        """Endpoints by the first segment of their paths (``/_matrix``): they get every request below it.

        They are on their own: they answer their errors, and no page of another origin is kept out for them.
        """


@runtime_checkable
class ResolvesAddress(Protocol):
    """Can tell whether somebody exists who has never written."""

    async def exists(self, canonical_id: CanonicalId) -> bool:
        """True when a message to this address would be taken."""


@runtime_checkable
class SearchesDirectory(Protocol):
    """Can search its network for people."""

    async def search(self, query: str, limit: int) -> Sequence[BridgedPerson]:
        """People who match, best first."""
