"""Every failure of the gateway by name.

Policy sits on the error and not at each call site: its JSON-RPC code (DM3-MTP, error codes, and JSON-RPC 2.0
section 5.1), the HTTP status that goes with it, whether a later try can succeed, and the sentence that a user
reads. The text given when an error is raised is for logs and operators and may name what was wrong; it must
not hold secrets or message text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class GatewayError(Exception):
    """Root of all named failures; ``detail`` is what went wrong in this one case."""

    code: ClassVar[int] = -32603
    """JSON-RPC error code."""
    status: ClassVar[int] = 500
    """HTTP status."""
    retry: ClassVar[bool] = False
    """True when the same request can succeed later without being changed."""
    sentence: ClassVar[str] = "Something went wrong inside the gateway."
    """What a user reads."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.sentence)
        self.detail = detail or self.sentence


# --- the request itself -----------------------------------------------------------------------------------------


class ParseError(GatewayError):
    """The body is no JSON in the strict form that we read."""

    code, status = -32700, 400
    sentence = "The request is not valid JSON."


class InvalidRequest(GatewayError):
    """JSON, but no JSON-RPC 2.0 request object."""

    code, status = -32600, 400
    sentence = "The request is not a JSON-RPC 2.0 call."


class MethodNotFound(GatewayError):
    """The method is none of ours."""

    code, status = -32601, 404
    sentence = "This method does not exist."


class MethodNotSupported(GatewayError):
    """A method of ours that this installation does not offer.

    405 as the reference answers for methods that it does not know. 501 would fit as well, but senders take a server
    error for a passing one and would come again with what will never be taken.
    """

    code, status = -32004, 405
    sentence = "Method not supported"


class InvalidParams(GatewayError):
    """Right method, wrong parameters."""

    code, status = -32602, 400
    sentence = "The parameters of this call are not right."


class InvalidInput(GatewayError):
    """A name, envelope, message, profile or number that cannot be what it should be."""

    code, status = -32000, 400
    sentence = "The input is not valid."


class TooLarge(GatewayError):
    """More bytes than this relay takes."""

    code, status = -32011, 413
    sentence = "The message is larger than this delivery service accepts."


class PersonDeleted(InvalidInput):
    """Somebody of another network whose keys were deleted here at their own wish."""

    sentence = "You were deleted here, and that is final: there are no keys of yours any more."


class ListFull(InvalidInput):
    """A list of names that somebody made has no room for one more."""

    sentence = "This list is full; take a name off it first."


# --- names, profiles, keys --------------------------------------------------------------------------------------


class InvalidName(InvalidInput):
    """Not an ENS name in its normal form (ENSIP-15)."""

    sentence = "This is not a valid ENS name."


class NotFound(GatewayError):
    """The thing asked for does not exist."""

    code, status = -32001, 404
    sentence = "Not found."


class UnknownName(NotFound):
    """The ENS name does not exist or has no record of the wanted kind."""

    sentence = "This ENS name does not exist or has no DM3 profile."


class UnknownAccount(NotFound):
    """The address has no account at this relay."""

    sentence = "This name has no account at this delivery service."


class UnknownRecipient(NotFound):
    """The recipient does not use this relay."""

    sentence = "The recipient does not use this delivery service."


class BadProfile(InvalidInput):
    """A profile record that is malformed, has a wrong hash or a wrong signature."""

    sentence = "The DM3 profile of this name is not valid."


class DecryptionFailed(InvalidInput):
    """Wrong key or tampered ciphertext."""

    sentence = "The content could not be decrypted."


class BadSignature(GatewayError):
    """A signature that is not by the key it should be by."""

    code, status = -32003, 401
    sentence = "Signature invalid"


class Unauthorised(GatewayError):
    """No token, an unknown one, or one of somebody else."""

    code, status = -32003, 401
    sentence = "You are not logged in for this name."


class WalletRefused(GatewayError):
    """A wallet signature that is not for this, from here, now, by its owner, for the first time."""

    code, status = -32003, 403
    sentence = "This wallet signature is not valid for this action, or was used before; please sign again."


# --- names that we issue ----------------------------------------------------------------------------------------


class NotAllowed(GatewayError):
    """Somebody known who may not do this: not the owner, or a key without the right for it."""

    code, status = -32003, 403
    sentence = "You are not allowed to do this."


class MetricsRefused(GatewayError):
    """Figures of the node are for its operator; ``detail`` says what was missing."""

    code, status = -32003, 403
    sentence = "Only the operator may read this; see [operation] in the configuration."


class NameRefused(GatewayError):
    """A name that is not given to this person; ``detail`` is the reason in words for them."""

    code, status = -32003, 403
    sentence = "This name is not given out."


class NameTaken(GatewayError):
    """Somebody has this name, or had it until a short time ago; ``detail`` says which."""

    code, status = -32000, 409
    sentence = "This name is taken."


class NameChanged(GatewayError):
    """What was to be changed is not what it was when the order was signed."""

    code, status = -32000, 409
    sentence = "This name was changed in the meantime; look at it and sign again."


class RequestUnderWay(GatewayError):
    """The same request came before and is being done; its repeat gets the answer a little later."""

    code, status, retry = -32000, 409, True
    sentence = "This request is being worked on; please ask again in a moment."


class JobUnderWay(GatewayError):
    """A job of the queue that is being tried, and that so cannot be held or dropped."""

    code, status, retry = -32000, 409, True
    sentence = "This is being tried right now; please ask again in a moment."


class KeyReused(GatewayError):
    """An Idempotency-Key that was used for something else."""

    code, status = -32602, 422
    sentence = "This Idempotency-Key was used for another request."


# --- limits and the world around us -----------------------------------------------------------------------------


class NotificationRefused(InvalidInput):
    """A change of notification settings that cannot be made; ``detail`` is the sentence that clients compare."""

    sentence = "The notification settings cannot be changed like this."


class LimitExceeded(GatewayError):
    """A quota is used up or the node is overloaded."""

    code, status, retry = -32005, 429, True
    sentence = "Too much at once; please try again later."


class MailboxFull(LimitExceeded):
    """No room in the recipient's mailbox, or not for this sender any more; what was accepted stays."""

    sentence = "The recipient's mailbox has no room for this message now; please try again later."


class Spam(GatewayError):
    """The recipient's rules for senders do not let this one in."""

    code, status = -32010, 403
    sentence = "The recipient does not accept messages from this sender."


class Unavailable(GatewayError):
    """Something that we depend on (chain, relay, database) does not answer now."""

    code, status, retry = -32002, 503, True
    sentence = "A service that is needed for this does not answer; please try again later."


class ChainUnavailable(Unavailable):
    """No JSON-RPC endpoint of the chain answers."""

    sentence = "The Ethereum node does not answer; please try again later."


class FetchRefused(GatewayError):
    """A URL that the guarded client does not fetch: scheme, host, port, redirect, size or type."""

    code, status = -32000, 400
    sentence = "A record of this name points to an address that must not be fetched."


class FetchFailed(Unavailable):
    """A permitted URL that did not give an answer in time."""

    sentence = "A server that this name depends on does not answer; please try again later."


class RegistryDown(Unavailable):
    """A registry that could know a name does not answer now, or is left alone for a while because it did not."""

    sentence = "A registry that could know this name does not answer; please try again later."


class BadRegistryAnswer(Unavailable):
    """What a registry said of a name cannot be believed: no valid signature, run out, about another name, malformed.

    A server error and not a client's: what would be signed instead is that the name has no records.
    """

    sentence = "A registry gave an answer for this name that cannot be believed; please try again later."


# --- another delivery service -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What another delivery service answered when it did not take our envelope."""

    http_status: int
    code: int | None = None
    """Of the JSON-RPC error, when there is one."""
    text: str = ""
    """The service's own words, of a stranger and not cleaned."""

    @property
    def bare(self) -> bool:
        """A 400 without a JSON-RPC error: how the reference refuses a spelling that it does not know, and all else."""
        return self.http_status == 400 and self.code is None


class RemoteRefused(GatewayError):
    """Another delivery service refused our envelope for good."""

    code, status = -32000, 502
    sentence = "The recipient's delivery service refused the message."

    def __init__(self, detail: str = "", answer: ServiceAnswer | None = None) -> None:
        super().__init__(detail)
        self.answer = answer


class SchemeRefused(RemoteRefused):
    """The same for a recipient who lists encryption schemes and ours is not among them."""

    sentence = (
        "The recipient asks for an encryption that this gateway does not have, "
        "and the recipient's delivery service refused the message."
    )


class RemoteBusy(LimitExceeded):
    """Another delivery service did not take our envelope now and may do so later."""

    code, status = -32002, 503
    sentence = "The recipient's delivery service does not take messages at the moment."

    def __init__(self, detail: str = "", answer: ServiceAnswer | None = None) -> None:
        super().__init__(detail)
        self.answer = answer


class NotTried(GatewayError):
    """A delivery service has said that it would refuse this message, so it was not sent there.

    ``detail`` is a sentence for its writer and names the rule or the limit.
    """

    code, status = -32000, 400
    sentence = "The recipient's delivery service would refuse the message."


class RouteRefused(RemoteRefused):
    """The relays that a message has to go through are not known, or the first of them does not forward it."""

    sentence = "The relays that this message has to go through do not forward it, so it was not sent."


# --- the house itself -------------------------------------------------------------------------------------------


class ConfigError(GatewayError):
    """A setting is missing, unknown or wrong; one line each, for the operator."""

    sentence = "The configuration is not valid."


class CustodyError(GatewayError):
    """Seed or salt missing, of wrong size, of another installation, or shredded."""

    sentence = "The keys of this identity cannot be opened."


class SchemaMismatch(GatewayError):
    """The database is of another revision than this program."""

    sentence = "The database schema does not fit this version of the gateway."


class RestoreUnfinished(SchemaMismatch):
    """A restore was broken off, and what is there is not fit to be opened."""

    sentence = "A restore of this database was broken off; run `dm3-gateway restore --replace` again."


class DamagedRow(GatewayError):
    """A row whose checksum does not fit its content: the disk or somebody changed it."""

    sentence = "This message was damaged in the gateway's storage."


class LeaseLost(GatewayError):
    """Somebody else took over what we thought to hold; our result must not be written."""

    retry = True
    sentence = "The work was taken over by another node."
