"""What the gateway says in its own voice, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.errors import GatewayError, NotTried, RemoteBusy, RemoteRefused, SchemeRefused, ServiceAnswer
from gateway.ids import EnsName, Network
from gateway.sdk.delivery import NOTICE_MARK
from gateway.sdk.quoting import quotable
from gateway.traces import TraceId
from gateway.work.results import clean_reason

MAX_QUOTED: Final = 200
"""Characters of another service's own words that people are shown."""

MAX_TRACED: Final = 450
"""Characters of a reason before its trace: networks cut what is longer than 500."""

NETWORK_NAMES = {"email": "e-mail", "matrix": "Matrix", "xmpp": "XMPP"}


def first_message_notice(network: Network, person: str, parent: EnsName) -> str:
    """Appended to the first message of a conversation: the recipient learns that a gateway reads along."""
    return (
        f"\n\n-- \n{person} writes to you from {NETWORK_NAMES.get(network, network)} through the gateway {parent}. "
        "Your conversation is bridged, not end-to-end encrypted: the gateway can read it."
    )


def doubt_notice(reason: str, *, alone: bool = True) -> str:
    """Appended once in a conversation to a message whose sender is not fully verified; ``reason`` is a sentence."""
    return f"\n\n-- \n{clean_reason(reason)}" if alone else f" {clean_reason(reason)}"


def failure_notice(person: str, reason: str, trace: TraceId) -> str:
    """Sent in the person's name to whoever wrote to them in vain."""
    return f"{NOTICE_MARK}Your message did not reach {person}: {with_trace(reason, trace)}"


def with_trace(reason: str, trace: TraceId) -> str:
    """A reason, and by what the operator finds the message. It fits into what networks show of a reason."""
    return f"{reason[:MAX_TRACED].rstrip()} [trace {trace}]"


def sent_after(sender: EnsName, text: str) -> str:
    """A message to a name that was moved to another delivery service; the mark keeps it from going round.

    The words are quoted: they are the sender's, and the mark is ours.
    """
    words = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"{NOTICE_MARK}{sender} wrote to you at your former delivery service:\n\n{words}"


def told(error: GatewayError) -> str:
    """Why a message did not go, for its writer. What the other service said is quoted, clean and bounded."""
    if isinstance(error, NotTried):
        return clean_reason(error.detail)
    if not isinstance(error, RemoteRefused | RemoteBusy) or error.answer is None:
        return error.sentence
    answer = error.answer
    sentence = (
        error.sentence if isinstance(error, SchemeRefused) else _REFUSALS.get(_code(error, answer), error.sentence)
    )
    words = quotable(answer.text)[:MAX_QUOTED].rstrip()
    return f'{sentence} It said: "{words}"' if words else f"{sentence} It gave no reason (HTTP {answer.http_status})."


def rules_unmet(recipient: EnsName, sender: EnsName, unmet: Sequence[str]) -> str:
    """Which of the recipient's rules stop this sender; ``unmet`` goes on after a name: "needs 1 ETH, and has none"."""
    return f"{recipient} does not take messages from everybody: {sender} {'; '.join(unmet)}."


def envelope_too_large(limit: int) -> str:
    """The size of the sealed message, ``limit`` in bytes."""
    return f"The message is larger than the recipient's delivery service takes: {_size(limit)} when encrypted."


def attachments_too_large(recipient: EnsName, limit: int, size: int) -> str:
    """All attachments of the message together; both numbers are bytes."""
    if limit == 0:
        return f"{recipient} does not take attachments."
    return f"{recipient} takes attachments of up to {_size(limit)}; those of this message have {_size(size, up=True)}."


def waits_for_acceptance(recipient: EnsName) -> str:
    """The message was taken, but not yet by the recipient."""
    return f"{recipient} decides first whether to take messages from you; until then this one waits."


def message_request(sender: EnsName) -> str:
    """For a bridged person who lets strangers in one by one."""
    return (
        f"{sender} wants to write to you. Their messages wait until you let them in with the command "
        f'"spam allow {sender}", or refuse them with "block {sender}".'
    )


def _code(error: RemoteRefused | RemoteBusy, answer: ServiceAnswer) -> int | None:
    """By which the answer is told. A passing fault says nothing about the message, but a full mailbox is one."""
    code = _CODE_OF_STATUS.get(answer.http_status) if answer.code is None else answer.code
    return code if isinstance(error, RemoteRefused) or code == _FULL else None


def _size(number: int, *, up: bool = False) -> str:
    """Bytes for people. A limit is cut and what passes it goes ``up``, so that the two never look alike."""
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if number >= 10 * unit:
            return f"{-(-number // unit) if up else number // unit} {name}"
    return f"{number} bytes"


_FULL: Final = -32005

_REFUSALS: Final[Mapping[int | None, str]] = MappingProxyType(
    {
        -32001: "The recipient's delivery service does not know the recipient.",
        -32003: "The recipient's delivery service could not make sure that the message is from you.",
        _FULL: "The recipient's mailbox is full, or there was too much mail from you at once.",
        -32010: "The recipient does not accept messages from you: this one does not fit the recipient's rules.",
        -32011: "The message is larger than the recipient's delivery service takes.",
    }
)
"""By the codes of DM3-MTP."""

_CODE_OF_STATUS: Final[Mapping[int, int]] = MappingProxyType({413: -32011, 429: _FULL})
"""For services that answer with a status alone."""

PAUSED = "The recipient has paused deliveries."
NOT_LET_IN = "The recipient has not let this sender in yet."
EXPIRED = "It could not be delivered in time."
MISMATCH = "The message does not fit its envelope."
UNVERIFIED = "The sender's signature could not be verified."
UNREADABLE = "The message could not be opened with the recipient's key."
NO_SERVICE = "The recipient's profile names no delivery service."
AUTOMATIC_TO_BRIDGED = "Automatic messages are not passed from one bridged network to another."
ROUTED = "The first relay of its route took it; only a receipt of the recipient tells that it arrived."
