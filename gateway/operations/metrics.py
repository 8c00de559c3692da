"""`/metrics`: figures for Prometheus, of this node and nobody by name.

Counters are plain numbers that the parts keep (`gateway/watch.py`); they become families of Prometheus when somebody
asks, in a registry of this node alone. Its client library is loaded by the first scrape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway import __version__
from gateway.operations.figures import Figures, Moments
from gateway.operations.health import OK
from gateway.store.jobs import JobState
from gateway.watch import BOUNDS, Counted, Spread, Timed, Watch

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX: Final = "dm3_gateway_"
ADAPTER: Final = "adapter "
"""Before the name of a network where components are told."""
WORK: Final = ("destination", "kind")

COUNTERS: Final = MappingProxyType(
    {
        Counted.ACCEPTED: ("messages_accepted", "Messages that are on disk, by the door they came through.", ("door",)),
        Counted.REFUSED: ("messages_refused", "Messages that were not taken, and why.", ("door", "reason")),
        Counted.REPEATED: ("messages_repeated", "Messages and events that had been taken before.", ("door",)),
        Counted.DELIVERED: ("jobs_delivered", "Jobs that brought a message where it belongs.", WORK),
        Counted.GIVEN_UP: ("jobs_given_up", "Jobs whose time was over.", WORK),
        Counted.RETRIED: ("jobs_retried", "Tries that failed and come again.", WORK),
        Counted.HELD: ("jobs_set_aside", "Jobs that were set aside for the operator.", WORK),
        Counted.LANE_LOST: ("lanes_lost", "Lanes whose lease was lost while they were worked on.", ()),
        Counted.LOOKED_UP: ("lookups", "Questions by CCIP-read, by HTTP status.", ("door", "status")),
        Counted.SIGNER_FAILED: ("signer_failures", "Answers of the resolver that could not be signed.", ()),
        Counted.DISAGREED: ("rpc_disagreements", "Questions on which the RPC servers did not agree.", ()),
    }
)
HISTOGRAMS: Final = MappingProxyType(
    {
        Timed.DELIVERY: ("delivery_seconds", "From acceptance until a message was where it belongs.", WORK),
        Timed.SIGNING: ("signing_seconds", "One signature of the resolver.", ()),
        Timed.BATCH: ("commit_units", "Units that were committed in one transaction.", ()),
    }
)


class Metrics:
    """Writes one page for each scrape."""

    def __init__(self, watch: Watch, moments: Moments) -> None:
        self._watch = watch
        self._moments = moments

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page and its media type: OpenMetrics where it is asked for, else the text format."""
        # It takes a tenth of a second to load, which the event loop must not wait for.
        await asyncio.to_thread(__import__, "prometheus_client.exposition")
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        figures = await self._moments.now()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self._watch, figures))
        ProcessCollector(registry=registry)
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type


class _Collected:
    """All of ours as the library asks for it."""

    def __init__(self, watch: Watch, figures: Figures) -> None:
        self._watch = watch
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry is made for one page."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Counters and histograms, then what is so now."""
        yield from _counters(self._watch)
        yield from _histograms(self._watch)
        yield from _gauges(self._figures)


def _counters(watch: Watch) -> Iterator[Metric]:
    """One that never counted has no labels yet; without labels it is 0, so that a first one is seen as a rise."""
    from prometheus_client.core import CounterMetricFamily

    for what, (name, text, labels) in COUNTERS.items():
        family = CounterMetricFamily(PREFIX + name, text, labels=labels)
        found = {key: count for (counted, key), count in watch.counts.items() if counted is what}
        for key, count in (found or ({} if labels else {(): 0})).items():
            family.add_metric(key, count)
        yield family


def _histograms(watch: Watch) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    for what, (name, text, labels) in HISTOGRAMS.items():
        family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
        found = {key: spread for (timed, key), spread in watch.spreads.items() if timed is what}
        for key, spread in (found or ({} if labels else {(): Spread(BOUNDS[what])})).items():
            total, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS[what]), "+Inf"), spread.buckets, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(key, buckets, spread.total)
        yield family


def _gauges(figures: Figures) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    waiting, now = figures.waiting, figures.now
    depth = GaugeMetricFamily(PREFIX + "queue_jobs", "Jobs that wait, or are held.", labels=("destination", "state"))
    oldest = GaugeMetricFamily(
        PREFIX + "queue_oldest_seconds", "Age of the oldest job.", labels=("destination", "state")
    )
    held = 0
    for each in waiting.depths if waiting is not None else ():
        key = (each.destination, each.state.value)
        depth.add_metric(key, each.jobs)
        oldest.add_metric(key, max(0, now - each.oldest_at) / 1000)
        held += each.jobs if each.state is JobState.HOLD else 0
    yield depth
    yield oldest
    if waiting is not None:
        since = now if waiting.due_since is None else waiting.due_since
        yield _gauge("held_jobs", "Jobs that were set aside and wait for the operator.", held)
        yield _gauge("queue_overdue_seconds", "For how long a due lane waits for a worker.", max(0, now - since) / 1000)
    component = GaugeMetricFamily(PREFIX + "component_up", "1 while a component works.", labels=("component",))
    connected = GaugeMetricFamily(
        PREFIX + "adapter_connected", "1 while a network can be reached.", labels=("network",)
    )
    for name, state in figures.states.items():
        if name.startswith(ADAPTER):
            connected.add_metric((name.removeprefix(ADAPTER),), float(state == OK))
        else:
            component.add_metric((name,), float(state == OK))
    yield component
    yield connected
    yield _gauge("event_loop_lag_seconds", "The longest delay of the event loop in the last minute.", figures.lag)
    if figures.backup_age is not None:
        yield _gauge("backup_age_seconds", "Age of the newest backup.", figures.backup_age)
    if figures.disk is not None:
        yield _gauge("disk_free_bytes", "Free on the disk of the keys and of SQLite.", figures.disk.free)
        yield _gauge("disk_size_bytes", "Size of that disk.", figures.disk.size)
    build = GaugeMetricFamily(PREFIX + "build_info", "1; the label tells the version.", labels=("version",))
    build.add_metric((__version__,), 1)
    yield build


def _gauge(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(PREFIX + name, text, value=value)
