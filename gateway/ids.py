"""Names for the strings of the protocol, so that one kind is never taken for another."""

from __future__ import annotations

from typing import NewType

EnsName = NewType("EnsName", str)
"""A name normalised by ENSIP-15, e.g. ``alice.eth``; make one with ``gateway.ens.names.normalise``."""

EthAddress = NewType("EthAddress", str)
"""A 20-byte address as 0x + 40 lower-case hex digits; checksummed (ERC-55) only where it is shown or signed."""

MessageHash = NewType("MessageHash", str)
"""0x + 64 lower-case hex digits: SHA-256 of a canonical DM3 message (see ``gateway.dm3.message``)."""

EnvelopeId = NewType("EnvelopeId", str)
"""64 lower-case hex digits: SHA-256 over recipient address and canonical envelope; a repeat has the same id."""

IdentityId = NewType("IdentityId", int)
"""Row number of a bridged identity."""

Network = NewType("Network", str)
"""Short name of a foreign network = its zone label = its adapter's name: ``matrix``, ``xmpp``, ``email``."""

CanonicalId = NewType("CanonicalId", str)
"""A person's address in a foreign network in its frozen canonical spelling (mxid, bare JID, mail address)."""

NativeId = NewType("NativeId", str)
"""Id that a foreign network gave to one message: event id, stanza origin-id, Message-ID."""

LaneKey = NewType("LaneKey", str)
"""Name of one ordered queue: destination and conversation."""
