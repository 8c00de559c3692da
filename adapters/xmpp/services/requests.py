"""Which request is read by what: one table. Whatever is not in it is unknown, and answered so (RFC 6120, 8.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.services import adhoc, disco, gateway_prompt, register, search, small, vcard
from adapters.xmpp.stanzas import Request
from adapters.xmpp.xml import name_of

Asked = (
    adhoc.CommandAsked
    | disco.InfoAsked
    | disco.ItemsAsked
    | gateway_prompt.PromptAsked
    | gateway_prompt.Typed
    | register.RegistrationAsked
    | register.Register
    | register.RegistrationCancelled
    | register.Unregister
    | search.SearchAsked
    | search.Search
    | small.Ping
    | small.VersionAsked
    | small.TimeAsked
    | small.BlocklistAsked
    | small.Block
    | small.Unblock
    | vcard.Asked
)

_READERS: Final[Mapping[tuple[str, str], Callable[[Request], Asked]]] = MappingProxyType(
    {
        (ns.DISCO_INFO, "query"): disco.read,
        (ns.DISCO_ITEMS, "query"): disco.read,
        (ns.GATEWAY, "query"): gateway_prompt.read,
        (ns.SEARCH, "query"): search.read,
        (ns.REGISTER, "query"): register.read,
        (ns.COMMANDS, "command"): adhoc.read,
        (ns.VCARD_TEMP, "vCard"): vcard.read,
        (ns.VCARD4, "vcard"): vcard.read,
        (ns.PUBSUB, "pubsub"): vcard.read_items,
        (ns.PING, "ping"): small.read_ping,
        (ns.VERSION, "query"): small.read_version,
        (ns.TIME, "time"): small.read_time,
        (ns.BLOCKING, "blocklist"): small.read_blocking,
        (ns.BLOCKING, "block"): small.read_blocking,
        (ns.BLOCKING, "unblock"): small.read_blocking,
    }
)
_OF_THE_GATEWAY: Final = frozenset({ns.GATEWAY, ns.SEARCH, ns.REGISTER, ns.COMMANDS, ns.BLOCKING})
"""What a contact does not do."""


def read(request: Request) -> Asked:
    """What is asked for. Results and errors are no requests and do not come here.

    Raises BadStanza: service-unavailable for what is not known, or not known by whom was asked; and what the readers
    raise.
    """
    reader = _READERS.get(name_of(request.payload))
    if reader is None or (request.head.to.local and name_of(request.payload)[0] in _OF_THE_GATEWAY):
        raise BadStanza(Condition.SERVICE_UNAVAILABLE, "This is not offered here.")
    return reader(request)
