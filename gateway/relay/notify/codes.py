"""One-time codes that prove a mail address: asked for at a bounded rate, sent by a job, guessed a few times at most.

The code is made by the job that sends it and leaves this process in the mail alone. The store has its keyed digest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway.custody.derive import context
from gateway.errors import InvalidInput, LimitExceeded, NotificationRefused
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.notify.mail_channel import MailChannel
from gateway.sdk.delivery import Rejected, Retry
from gateway.store import Store
from gateway.store.allowance import Allowance, WithAllowances
from gateway.store.channels import ChannelKind, CodeCheck, GuessCode, SetCode
from gateway.store.jobs import Enqueue, Job, NewJob, lane_key
from gateway.store.op import Op
from gateway.work.results import Checkpoint, Done, Later, Result

log = structlog.get_logger(__name__)

CODE_JOB: Final = "notify-code"
"""Kind of the jobs that send codes."""
DIGITS: Final = 5
LIFE_MS: Final = 10 * 60_000
GUESSES: Final = 5
MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 3600 * 1000
CODES_PER_ACCOUNT: Final = 10
"""Codes that one account may ask for in a day."""
CODES_PER_ADDRESS: Final = 5
"""Codes that one mail address gets in a day, whoever asks: it may belong to somebody who asked for nothing."""
TOO_SOON: Final = "New OTP can be generated after 1 minutes of last OTP generated"


@dataclass(frozen=True, slots=True)
class CodeJob:
    """Prove that a mail address belongs to an account."""

    address: EthAddress
    name: EnsName
    """The name under which the owner is logged in, as the mail shows it."""
    recipient: str = field(repr=False)


_JOB: Final = TypeAdapter(CodeJob)


class Codes:
    """Asks for codes, sends them (handler of CODE_JOB) and checks guesses. ``key`` is 32 secret bytes."""

    def __init__(self, *, store: Store, channel: MailChannel | None, key: bytes, clock: Clock) -> None:
        self._store = store
        self._channel = channel
        self._key = key
        self._clock = clock

    async def ask(self, address: EthAddress, name: EnsName, recipient: str, *before: Op[Any]) -> None:
        """Apply `before` and queue a code for the mail address `recipient`, all or nothing.

        Raises NotificationRefused within a minute of the last code, LimitExceeded when the day's codes are used up.
        """
        now = self._clock()
        account = self._pseudonym(address)
        minute = Allowance(f"code-minute:{account}", 1, MINUTE_MS)
        allowances = (
            minute,
            Allowance(f"code-account:{account}", CODES_PER_ACCOUNT, DAY_MS),
            Allowance(f"code-recipient:{self._pseudonym(recipient)}", CODES_PER_ADDRESS, DAY_MS),
        )
        payload = _JOB.dump_json(CodeJob(address, name, recipient))
        # A lane of its own: a code must not wait behind notifications, which wait for their time.
        lane = lane_key("notify", f"{account}.code")
        job = NewJob(lane, CODE_JOB, payload, created_at=now, expires_at=now + LIFE_MS)
        result = await self._store.commit(WithAllowances(allowances, now, (*before, Enqueue(job))))
        if result == minute:
            raise NotificationRefused(TOO_SOON)
        if isinstance(result, Allowance):
            raise LimitExceeded("no more codes today")

    async def guess(self, address: EthAddress, recipient: str, code: str) -> CodeCheck:
        """Count a guess for the account's mail channel; RIGHT for one caller at most."""
        digest = self._digest(address, recipient, code[: 2 * DIGITS])
        return await self._store.commit(GuessCode(address, ChannelKind.EMAIL, digest, self._clock(), LIFE_MS, GUESSES))

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Make a code, store its digest, send it. A further try sends a new one, and only the newest counts."""
        try:
            work = _JOB.validate_json(job.payload)
        except ValidationError as error:
            raise InvalidInput(f"code job with {error.error_count()} faults") from None
        if self._channel is None:
            return Done()
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        digest = self._digest(work.address, work.recipient, code)
        if not await self._store.commit(
            SetCode(work.address, ChannelKind.EMAIL, work.recipient, digest, self._clock())
        ):
            return Done()
        key = f"{job.lane}.{job.id}.{job.attempts}"
        outcome = await self._channel.send_code(work.recipient, code, work.name, minutes=LIFE_MS // MINUTE_MS, key=key)
        if isinstance(outcome, Retry):
            return Later(outcome.reason, None if outcome.after is None else int(outcome.after * 1000))
        log.info("code.sent", job=job.id, result=type(outcome).__name__)
        if isinstance(outcome, Rejected):
            log.warning("code.rejected", job=job.id, reason=outcome.reason)
        return Done()

    async def expire(self, job: Job) -> Done:
        """Whoever waits for it can ask for another one."""
        log.warning("code.expired", job=job.id, reason=job.reason)
        return Done()

    def _pseudonym(self, whose: str) -> str:
        """Names an account or a mail address in the store without saying which it is."""
        return hmac.digest(self._key, context("whose", whose), hashlib.sha256).hex()[:32]

    def _digest(self, address: EthAddress, recipient: str, code: str) -> bytes:
        return hmac.digest(self._key, context("code", address, recipient, code), hashlib.sha256)
