"""News for bridged people about their messages, as far as their network can show them."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from gateway import traces
from gateway.bridge.jobs import decode_report
from gateway.ids import Network
from gateway.sdk.adapter import Adapter, ReportsStatus
from gateway.sdk.delivery import StatusReport
from gateway.store.jobs import Job
from gateway.work.results import Checkpoint, Done, Result

log = structlog.get_logger(__name__)


class Reports:
    """Handles REPORT jobs, which are failures; good news is told once and may get lost."""

    def __init__(self, adapters: Mapping[Network, Adapter]) -> None:
        self._adapters = adapters

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Tell; what the adapter raises makes the job come again."""
        work = decode_report(job.payload)
        if work.trace is not None:
            traces.bind(work.trace)
        await self.tell(work.network, work.report)
        log.info("report.told", job=job.id, network=work.network, state=work.report.state)
        return Done()

    async def expire(self, job: Job) -> Done:
        """Nobody is left to tell."""
        log.warning("report.expired", job=job.id, reason=job.reason)
        return Done()

    async def tell(self, network: Network, report: StatusReport) -> None:
        """Tell now, if the network has a way to show it; raises what the adapter raises."""
        adapter: object = self._adapters.get(network)
        if isinstance(adapter, ReportsStatus):
            await adapter.report(report)
