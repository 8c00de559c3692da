"""What waits, by destination: counts, ages, and what is due and nobody works on."""

from __future__ import annotations

from gateway.store import Store
from gateway.store.depth import Depth, QueueDepth, Waiting
from gateway.store.lanes import Enqueue, HoldJob, JobState, LeaseLanes, ReleaseLane, RetryJob
from tests.integration.store.values import NOW, job, lane


async def test_an_empty_queue(store: Store) -> None:
    assert await store.read(QueueDepth(NOW)) == Waiting((), None)


async def test_by_destination_and_state(store: Store) -> None:
    """Also for destinations whose names begin alike, and for bytes around the colon."""
    held = await store.commit(Enqueue(job("bad", created_at=NOW + 1, lane=lane("a", "email"))))
    [lease] = await store.commit(LeaseLanes("w", NOW + 1, 1000, 1))
    await store.commit_all(HoldJob(lease, held, NOW + 2, "no such user"), ReleaseLane(lease, NOW + 2))
    for conversation, destination, at in [
        ("a", "email", 5),
        ("b", "email", 7),
        ("b", "email-2", 8),
        ("c", "emails", 9),
        ("d", "dm3", 4),
    ]:
        await store.commit(Enqueue(job(lane=lane(conversation, destination), created_at=NOW + at)))
    waiting = await store.read(QueueDepth(NOW + 100))
    assert sorted(waiting.depths, key=lambda each: (each.destination, each.state)) == [
        Depth("dm3", JobState.READY, 1, NOW + 4),
        Depth("email", JobState.HOLD, 1, NOW + 1),
        Depth("email", JobState.READY, 2, NOW + 5),
        Depth("email-2", JobState.READY, 1, NOW + 8),
        Depth("emails", JobState.READY, 1, NOW + 9),
    ]


async def test_what_waits_for_its_time_or_is_worked_on_is_not_late(store: Store) -> None:
    await store.commit(Enqueue(job(lane=lane("a", "email"), created_at=NOW)))
    late = await store.read(QueueDepth(NOW + 5000))
    assert late.due_since is not None
    assert late.due_since <= NOW + 5000
    [lease] = await store.commit(LeaseLanes("w", NOW + 5000, 1000, 1))
    assert (await store.read(QueueDepth(NOW + 5001))).due_since is None, "somebody works on it"
    assert lease.first is not None
    retry = RetryJob(lease, lease.first.id, NOW + 5001, 60_000, "away")
    await store.commit_all(retry, ReleaseLane(lease, NOW + 5001))
    assert (await store.read(QueueDepth(NOW + 6000))).due_since is None, "it waits for its next try"
