"""How much is done: as much as makes figures steady, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of one run."""

    rounds: int
    people: int
    """Senders, and as many recipients."""
    warm_up: int
    """Envelopes, or look-ups, before the first round."""
    envelopes: int
    """Of each number of clients in each round."""
    waiting: int
    """Messages of the mailbox that is picked up."""
    pick_ups: int
    """In each round."""
    mailboxes: tuple[int, ...]
    """Sizes of the mailboxes in which messages are acknowledged."""
    page: int
    """Messages that a client has picked up, the oldest of the mailbox."""
    acknowledged: int
    """Of those, in each round."""
    starts: int
    names: int
    """Looked up once in each round, or rows of the file that is imported."""
    transactions: int
    """Of 100 events each, of a homeserver in each round."""
    messages: int
    """Of a Matrix user in each round, one after the other, and at the end in a burst."""
    stanzas: int
    """Messages of XMPP users in each round; a tenth as many one after the other."""
    mails: int
    """Of 2 KB of each kind in each round."""
    large_mails: int
    """Of 5 MB in each round."""
    bombs: int
    """Of each kind in each round."""
    crossings: int
    """Mails that come out in XMPP in each round, one after the other."""
    lanes: int
    """In which jobs are queued."""
    jobs: int
    """In each round, to all lanes in turn."""
    fewer_jobs: int
    """The peer's are so many times fewer, or a run would be nothing but waiting for it."""
    growing_mailbox: tuple[int, ...]
    """Sizes of a mailbox in which something is done."""
    growing_envelopes: int
    """Submitted, and acknowledged, at each size in each round."""
    growing_names: tuple[int, ...]
    growing_lanes: tuple[int, ...]
    forgetting: float
    """Seconds until the server reads a row again that it has read."""
    soaking: int
    """Envelopes that come again and again."""
    minutes: float
    """For how long."""


FULL: Final = Scale(
    rounds=5,
    people=50,
    warm_up=1500,
    envelopes=2000,
    waiting=1000,
    pick_ups=5,
    mailboxes=(1_000, 10_000, 100_000),
    page=1000,
    acknowledged=200,
    starts=5,
    names=10_000,
    transactions=20,
    messages=50,
    stanzas=1000,
    mails=500,
    large_mails=20,
    bombs=2,
    crossings=40,
    lanes=1_000,
    jobs=8_000,
    fewer_jobs=4,
    growing_mailbox=(100, 1_000, 10_000, 100_000, 1_000_000),
    growing_envelopes=300,
    growing_names=(1_000, 10_000, 100_000, 1_000_000),
    growing_lanes=(10, 100, 1_000, 10_000, 100_000),
    forgetting=1.1,
    soaking=5_000,
    minutes=10.0,
)
TINY: Final = Scale(
    rounds=2,
    people=2,
    warm_up=4,
    envelopes=8,
    waiting=6,
    pick_ups=1,
    mailboxes=(8, 16),
    page=8,
    acknowledged=4,
    starts=1,
    names=40,
    transactions=2,
    messages=5,
    stanzas=20,
    mails=8,
    large_mails=2,
    bombs=1,
    crossings=3,
    lanes=10,
    jobs=20,
    fewer_jobs=1,
    growing_mailbox=(8, 16),
    growing_envelopes=4,
    growing_names=(8, 16),
    growing_lanes=(4, 8),
    forgetting=0.0,
    soaking=40,
    minutes=0.01,
)
