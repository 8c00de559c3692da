"""The commands about the queue; they work on the database, whether a node runs meanwhile or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli_common import OPERATOR, ConfigOption, err, opened, out, plain, print_table
from gateway.observability import set_up_logging

if TYPE_CHECKING:
    from gateway.operations.queue_desk import Action, Outcome
    from gateway.store.overview import JobSeen, LaneSeen, QueueFilter

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

SHOWN_LANE = 12
AT_ONCE = 1_000
"""Jobs that are looked up, and then changed, together."""

AdapterOption = Annotated[str, typer.Option(help="Of this adapter only; dm3 is what goes to delivery services.")]
HeldOption = Annotated[bool, typer.Option("--held", help="On hold only.")]
OlderOption = Annotated[str, typer.Option(help="Made longer ago than this: 90s, 10m, 2h, 3d.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NamesOption = Annotated[bool, typer.Option("--names", help="Say who writes to whom.")]
JobsArgument = Annotated[list[int] | None, typer.Argument(metavar="[JOB]...", help="Numbers of jobs.", min=1)]
AllOption = Annotated[bool, typer.Option("--all", help="Every job that the other options leave.")]


@app.callback()
def queue() -> None:
    """Look at what waits to be delivered; try it again, hold it, drop it."""
    set_up_logging("ERROR")


@app.command("list")
def queue_list(
    config: ConfigOption = None,
    adapter: AdapterOption = "",
    held: HeldOption = False,
    older: OlderOption = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Lanes, and jobs on hold, at most.")] = 50,
    as_json: JsonOption = False,
    names: NamesOption = False,
) -> None:
    """Lanes with what waits in them, failing and oldest first, and jobs that are on hold."""
    from gateway.lifecycle import now_ms
    from gateway.store.jobs import JobState
    from gateway.store.overview import JobsSeen, LanesSeen
    from gateway.store.queue import QueueCounts

    now = now_ms()
    wanted, on_hold = _wanted(adapter, held, older, now), _wanted(adapter, True, older, now)

    async def work() -> tuple[list[LaneSeen], list[JobSeen], dict[str, dict[str, int]]]:
        async with opened(config) as house:
            totals: dict[str, dict[str, int]] = {}
            for each in await house.store.read(QueueCounts()):
                totals.setdefault(each.destination, {state.value: 0 for state in JobState})[each.state.value] = (
                    each.jobs
                )
            return (
                await house.store.read(LanesSeen(wanted, limit)),
                await house.store.read(JobsSeen(on_hold, limit)),
                totals,
            )

    lanes, jobs, totals = asyncio.run(work())
    if as_json:
        told = {
            "totals": totals,
            "lanes": [_lane_fields(each, names=names) for each in lanes],
            "held": [_job_fields(each, names=names) for each in jobs],
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _tell_lanes(lanes, now, names=names)
    if jobs:
        _tell_held(jobs, now, names=names)
    waiting, kept = (sum(each[state] for each in totals.values()) for state in ("ready", "hold"))
    shown = f"; {len(lanes):,} lanes shown" if len(lanes) == limit else ""
    out.print(f"{waiting:,} waiting, {kept:,} on hold in all{shown}.")


@app.command("show")
def queue_show(
    job: Annotated[int, typer.Argument(help="Its number.", min=1)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    names: NamesOption = False,
) -> None:
    """One job: what it is, how its tries went, when it comes next. Never what somebody wrote."""
    from gateway.errors import NotFound
    from gateway.store.overview import JobNumbered
    from gateway.web.admin_parties import Parties, parties_of

    async def work() -> tuple[JobSeen, Parties]:
        async with opened(config) as house:
            found = await house.store.read(JobNumbered(job))
            if found is None:
                raise NotFound(f"there is no job {job}: it is done, or was dropped")
            return found, await parties_of(house.store, found)

    found, parties = asyncio.run(work())
    people = asdict(parties) if names else {}
    fields = _job_fields(found, names=names) | people | {"trace": parties.trace}
    if as_json:
        typer.echo(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    for key, value in fields.items():
        if value not in (None, ""):
            out.print(f"{key.replace('_', ' '):<12} {plain(str(value))}", markup=False)


@app.command("retry")
def queue_retry(
    jobs: JobsArgument = None,
    config: ConfigOption = None,
    everything: AllOption = False,
    adapter: AdapterOption = "",
    held: HeldOption = False,
    older: OlderOption = "",
) -> None:
    """Try jobs again, at once and as if for the first time. Exit code 1 when one could not be."""
    from gateway.operations.queue_desk import Action

    _act(Action.RETRY, jobs, config, everything, _Options(adapter, held, older))


@app.command("hold")
def queue_hold(
    jobs: JobsArgument = None,
    config: ConfigOption = None,
    everything: AllOption = False,
    adapter: AdapterOption = "",
    older: OlderOption = "",
) -> None:
    """Set jobs aside until they are tried again, dropped, or over; their lanes go on. Exit code 1 when one was not."""
    from gateway.operations.queue_desk import Action

    _act(Action.HOLD, jobs, config, everything, _Options(adapter, False, older, ready=True))


@app.command("drop")
def queue_drop(
    jobs: JobsArgument = None,
    config: ConfigOption = None,
    everything: AllOption = False,
    adapter: AdapterOption = "",
    held: HeldOption = False,
    older: OlderOption = "",
    silent: Annotated[bool, typer.Option("--silent", help="Tell nobody.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --all: ask nothing.")] = False,
) -> None:
    """Give jobs up: whoever wrote a message is told that it was not delivered. Exit code 1 when one was not dropped."""
    from gateway.operations.queue_desk import Action

    if everything and not yes:
        typer.confirm("Drop all of these jobs? This cannot be taken back.", abort=True)
    _act(Action.DROP, jobs, config, everything, _Options(adapter, held, older), silent=silent)


@app.command("dump")
def queue_dump(
    config: ConfigOption = None,
    adapter: AdapterOption = "",
    held: HeldOption = False,
    older: OlderOption = "",
    names: NamesOption = False,
) -> None:
    """Every job as one line of JSON, for programs and reports; never what somebody wrote."""
    from gateway.lifecycle import now_ms
    from gateway.operations.queue_desk import QueueDesk

    async def work() -> None:
        async with opened(config) as house:
            async for page in QueueDesk(house.store, now_ms).pages(_wanted(adapter, held, older, now_ms())):
                for each in page:
                    typer.echo(json.dumps(_job_fields(each, names=names), ensure_ascii=False))

    asyncio.run(work())


class _Options:
    """Which jobs ``--all`` means."""

    def __init__(self, adapter: str, held: bool, older: str, *, ready: bool = False) -> None:
        self.adapter, self.held, self.older, self.ready = adapter, held, older, ready

    @property
    def narrow(self) -> bool:
        """Whether anything was said."""
        return bool(self.adapter or self.held or self.older)


def _act(
    action: Action,
    numbers: list[int] | None,
    config: Path | None,
    everything: bool,
    options: _Options,
    *,
    silent: bool = False,
) -> None:
    from gateway.lifecycle import now_ms
    from gateway.operations.queue_desk import QueueDesk

    if everything is bool(numbers) or (options.narrow and not everything):
        raise typer.BadParameter("either numbers of jobs, or --all with what narrows it")
    if everything and not options.narrow:
        raise typer.BadParameter("--all needs --held, --adapter or --older beside it")

    async def work() -> Outcome:
        async with opened(config) as house:
            desk = QueueDesk(house.store, now_ms)
            if everything:
                wanted = _wanted(options.adapter, options.held, options.older, now_ms(), ready=options.ready)
                return await desk.act_on_all(action, wanted, OPERATOR, silent=silent)
            return await _act_on(house.store, desk, action, numbers or [], silent=silent)

    outcome = asyncio.run(work())
    _tell_outcome(action, outcome)
    if outcome.refused:
        raise typer.Exit(1)


async def _act_on(store: Any, desk: Any, action: Action, numbers: Sequence[int], *, silent: bool) -> Outcome:
    from gateway.operations.queue_desk import Outcome
    from gateway.store.overview import JobNumbered

    outcome, each_once = Outcome(), list(dict.fromkeys(numbers))
    for first in range(0, len(each_once), AT_ONCE):
        there: list[JobSeen] = []
        gone: list[int] = []
        for number in each_once[first : first + AT_ONCE]:
            found = await store.read(JobNumbered(number))
            gone.append(number) if found is None else there.append(found)
        done: Outcome = await desk.act(action, there, OPERATOR, silent=silent)
        outcome += done + Outcome(gone=tuple(gone))
    return outcome


def _tell_outcome(action: Action, outcome: Outcome) -> None:
    from gateway.operations.queue_desk import Action

    words = {Action.RETRY: "to be tried again", Action.HOLD: "held", Action.DROP: "dropped"}
    count = len(outcome.done)
    told = ""
    if action is Action.DROP and count:
        who = "1 sender is" if outcome.told == 1 else f"{outcome.told:,} senders are"
        told = f"; {who} told by the next node that works" if outcome.told else "; nobody is told"
    out.print(f"{count:,} job{'' if count == 1 else 's'} {words[action]}{told}.")
    for number in outcome.gone:
        err.print(f"job {number}: it is not there; it is done, or was dropped", style="red")
    for number in outcome.under_way:
        err.print(f"job {number}: it is being tried this moment; say it again in some seconds", style="red")
    for number in outcome.as_it_was:
        err.print(f"job {number}: it is on hold already", style="red")


def _wanted(adapter: str, held: bool, older: str, now: int, *, ready: bool = False) -> QueueFilter:
    from gateway.operations.queue_desk import span_ms
    from gateway.store.jobs import JobState
    from gateway.store.overview import QueueFilter

    state = JobState.HOLD if held else JobState.READY if ready else None
    return QueueFilter(adapter or None, state, now - span_ms(older) if older else None)


def _tell_lanes(lanes: Sequence[LaneSeen], now: int, *, names: bool) -> None:
    if not lanes:
        out.print("Nothing waits.")
        return
    heads = ["adapter", "lane", "waiting", "held", "oldest", "first job", "next try", "tries", "last error"]
    rows = []
    for each in lanes:
        row = [
            each.destination,
            each.lane.partition(":")[2][:SHOWN_LANE],
            f"{each.waiting:,}",
            f"{each.held:,}",
            _span(now - each.oldest_at),
            str(each.first),
            _next_try(each, now),
            str(each.attempts),
            _reason(each.reason, names=names),
        ]
        rows.append([*row, each.person or ""] if names else row)
    print_table([*heads, *(["person"] if names else [])], rows)


def _tell_held(jobs: Sequence[JobSeen], now: int, *, names: bool) -> None:
    rows = []
    for each in jobs:
        over = _span(max(0, each.expires_at - now))
        row = [str(each.id), each.destination, each.kind, _span(now - each.created_at), over]
        rows.append([*row, _reason(each.reason, names=names)])
    print_table(("on hold: job", "adapter", "kind", "since", "over in", "why"), rows)


def _lane_fields(lane: LaneSeen, *, names: bool) -> Mapping[str, Any]:
    times = {"oldest_at": _time(lane.oldest_at), "due": _time(lane.due)}
    return _named(asdict(lane) | times | {"reason": _reason(lane.reason, names=names)}, names=names)


def _job_fields(job: JobSeen, *, names: bool) -> dict[str, Any]:
    times = {key: _time(getattr(job, key)) for key in ("created_at", "expires_at", "due")}
    return _named(asdict(job) | times | {"reason": _reason(job.reason, names=names)}, names=names)


def _named(fields: dict[str, Any], *, names: bool) -> dict[str, Any]:
    hidden = {"lease_until"} if names else {"lease_until", "person"}
    return {key: value for key, value in fields.items() if key not in hidden}


def _reason(reason: str, *, names: bool) -> str:
    """Why a try failed; other services' own words may name people."""
    from gateway.observability import without_people
    from gateway.work.results import clean_reason

    return clean_reason(reason) if names else without_people(clean_reason(reason))


def _next_try(lane: LaneSeen, now: int) -> str:
    if lane.due is None:
        return "none"
    if lane.lease_until > now:
        return "under way"
    return "now" if lane.due <= now else f"in {_span(lane.due - now)}"


def _span(milliseconds: int) -> str:
    """``3 d``, ``5 h``, ``12 min``, ``40 s``: the largest unit."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
