"""SMTP replies with enhanced status codes (RFC 5321 section 4.2, RFC 3463), and the refusal that carries one."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.sdk import GatewayError, InvalidInput, LimitExceeded, NotFound, TooLarge


@dataclass(frozen=True, slots=True)
class Reply:
    """One line that ends a command; its text is ours alone and repeats nothing of what the client sent."""

    code: int
    enhanced: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"

    @property
    def permanent(self) -> bool:
        """True when the client must not try the same again."""
        return self.code >= 500


class MailRefused(InvalidInput):
    """A mail or command that gets `reply` and nothing more."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


OK = Reply(250, "2.0.0", "OK")
LOGGED_IN = Reply(235, "2.7.0", "Authentication succeeded")

BUSY = Reply(421, "4.7.0", "Too many connections, try again later")
TIMED_OUT = Reply(421, "4.4.2", "Timed out, closing the connection")
CLOSING = Reply(421, "4.3.2", "Service is being restarted, try again later")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "Too many failed log-ins, closing the connection")
FAULT = Reply(451, "4.3.0", "Something failed on our side, try again later")
DEPENDENCY_DOWN = Reply(451, "4.4.3", "A service needed for this does not answer, try again later")
OVERLOADED = Reply(451, "4.7.1", "Too much at once, try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the rest in another message")

NO_ROOM = Reply(452, "4.3.1", "Too much mail is coming in at once, try again later")

NO_SUCH_COMMAND = Reply(502, "5.5.1", "Command not available here")
SAY_LHLO = Reply(500, "5.5.1", "This is LMTP: say LHLO")
NO_PROXY = Reply(421, "4.7.1", "Connections to this port come through a proxy")
BAD_SEQUENCE = Reply(503, "5.5.1", "Command is out of sequence")
BAD_LINE_ENDS = Reply(550, "5.6.11", "Message holds a bare CR or LF; lines must end in CR LF")
LINE_TOO_LONG = Reply(554, "5.6.0", "Message holds a line that is too long")
TOO_BIG = Reply(552, "5.3.4", "Message is larger than this server accepts")

AUTH_NEEDED = Reply(530, "5.7.0", "Authentication required")
AUTH_FAILED = Reply(535, "5.7.8", "Authentication credentials invalid")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Use STARTTLS before authentication")
AUTH_MECHANISM = Reply(504, "5.5.4", "Authentication mechanism not supported")
AUTH_MALFORMED = Reply(501, "5.5.2", "Malformed authentication exchange")

UTF8_NOT_ANNOUNCED = Reply(553, "5.6.7", "Address outside ASCII needs SMTPUTF8")
NO_RELAY = Reply(550, "5.7.1", "We accept mail for our own domain only")
SENDER_NOT_ALLOWED = Reply(
    550, "5.7.1", "This gateway accepts mail only from senders on its allow-list or logged in for submission"
)
SENDER_NOT_YOURS = Reply(553, "5.7.1", "This sender address does not belong to your log-in")
FROM_NOT_YOURS = Reply(550, "5.7.1", "The From header is not an address that you may use here")
NO_MAIL_DOMAIN = Reply(550, "5.7.1", "The domain of this sender address cannot be authenticated")
DMARC_FAILED = Reply(
    550, "5.7.1", "Refused by the DMARC policy of the domain in From: no SPF or DKIM pass of that domain"
)
NOT_AUTHENTICATED = Reply(550, "5.7.1", "No SPF or DKIM pass for the domain in From; this gateway needs one")
NO_DMARC_RECORD = Reply(550, "5.7.1", "The domain in From has no DMARC record; this gateway needs one")
AUTHENTICATION_DOWN = Reply(451, "4.4.3", "The DNS does not say whether the sender is real, try again later")
FROM_MALFORMED = Reply(550, "5.6.0", "The mail needs exactly one From header with exactly one address")
NULL_SENDER = Reply(550, "5.7.1", "Mail without a sender is accepted only as a bounce to our return path")
UNKNOWN_RECIPIENT = Reply(550, "5.1.1", "This ENS name does not exist or has no DM3 profile")
NO_OPERATOR = Reply(550, "5.1.1", "No mailbox is configured for the operator of this server")
NO_PROGRAMS = Reply(550, "5.7.1", "This address takes commands of people, and no automatic mail")
BOUNCE_ONLY = Reply(550, "5.1.1", "This address takes bounces of our own mail only")
MAIL_TO_MAIL = Reply(550, "5.7.1", "This is the name of somebody with a mailbox: write to their mail address")
BAD_STRUCTURE = Reply(554, "5.6.0", "Message is malformed or too complex")
LOOP = Reply(554, "5.4.6", "Message loops: it passed here before or through too many servers")
NOT_SENDABLE = Reply(554, "5.6.0", "This message cannot be sent to its recipients")


def reply_to(error: GatewayError) -> Reply:
    """The reply for a named failure of the gateway: 5xx only where the mail itself is at fault."""
    if isinstance(error, MailRefused):
        return error.reply
    if isinstance(error, TooLarge):
        return TOO_BIG
    if isinstance(error, NotFound):
        return UNKNOWN_RECIPIENT
    if isinstance(error, InvalidInput):
        return NOT_SENDABLE
    if not error.retry:
        return FAULT
    return OVERLOADED if isinstance(error, LimitExceeded) else DEPENDENCY_DOWN
