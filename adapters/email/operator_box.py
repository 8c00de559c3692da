"""postmaster@ and abuse@: everybody must be able to write there (RFC 5321 section 4.5.1, RFC 2142 section 4).

Whose mail nothing vouches for comes from the one sender of unverified mail, says so, and is counted.
"""

from __future__ import annotations

import time
from typing import Final

from adapters.email import replies
from adapters.email.addresses import NULL_PATH
from adapters.email.admission import Admission, Admitted
from adapters.email.authentication.decision import Assurance
from adapters.email.handler import Client, Role
from adapters.email.replies import MailRefused
from adapters.email.spool import Spool
from gateway.sdk import Rate

UNPROVED: Final = frozenset(
    {replies.DMARC_FAILED, replies.NOT_AUTHENTICATED, replies.NO_DMARC_RECORD, replies.FROM_NOT_YOURS}
)
"""Refusals that are about who the sender is, and not about the mail."""
PER_ADDRESS: Final = 10
PER_HOUR: Final = 100
"""Unverified mails in an hour: of one client address (by LMTP, of one sender's domain), and of all."""


class OperatorBox:
    """Admits mail that goes to the operator and to nobody else."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._of_one = Rate(PER_ADDRESS, clock=_hours)
        self._of_all = Rate(PER_HOUR, clock=_hours)

    async def admit(self, client: Client, sender: str, spool: Spool) -> Admitted:
        """As `Admission.admit`, where who is not proved is nobody; raises LimitExceeded for too many of those."""
        try:
            if sender != NULL_PATH:
                return await self._admission.admit(client, sender, spool)
        except MailRefused as refusal:
            if client.role is Role.SUBMISSION or refusal.reply not in UNPROVED:
                raise
        # Behind a server of ours all clients have its address.
        self._of_one.take(sender.rpartition("@")[2] if client.role is Role.LMTP else client.asker)
        self._of_all.take("")
        return self._admission.admitted(client, Assurance.NONE)


def _hours() -> float:
    """A clock by which what is per minute is per hour."""
    return time.monotonic() / 60
