"""Many names at once: rows of a file, checked against everything that is known and written in chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from gateway.dm3.canonical import stringify
from gateway.errors import GatewayError, NameTaken
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.offload import INLINE_BYTES, Offload
from gateway.store import Store
from gateway.store.audit import AuditAll, AuditEntry
from gateway.store.bulk import Among, NamesAmong, Outcome, PutNames, outcome_over
from gateway.store.links import UnlinkStrangers
from gateway.store.names import NameRow
from gateway.store.op import Op
from gateway.store.reservations import Hold
from gateway.subnames.history import IMPORTED
from gateway.subnames.names_file import FileRow, RowError
from gateway.subnames.orders import profile_text

CHUNK: Final = 500
"""Rows of one transaction."""
MAX_ERRORS: Final = 1_000
"""Sentences of a report; rows beyond are only counted."""
_HEAVY: Final = INLINE_BYTES + 1

Source = Callable[[], Iterator[FileRow | RowError]]
"""Opens the file from its beginning; an import of all or nothing reads it twice."""


class Mode(StrEnum):
    """What becomes of the other rows when one is wrong."""

    ALL = "all"
    """Nothing is written."""
    EACH = "each"
    """They are written."""


@dataclass(frozen=True, slots=True)
class Import:
    """How rows are taken: who does it, and what may be passed over."""

    actor: str
    """As in the audit log."""
    mode: Mode = Mode.ALL
    overwrite: bool = False
    """Replace names in use by what the file says of them."""
    reserved_too: bool = False
    """Give out names that are kept back, to whomever; never those that are blocked."""
    alike_too: bool = False
    """Take names that look like another one."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the rows, or would become: counts, and a sentence for each row that failed."""

    rows: int
    new: int
    changed: int
    same: int
    failed: int
    errors: tuple[RowError, ...]
    written: bool
    """False for a dry run, and for an import of all or nothing that had a wrong row."""


@dataclass(slots=True)
class _Tally:
    """What is known halfway through a file."""

    how: Import
    progress: Callable[[int], None]
    rows: int = 0
    counts: Counter[Outcome] = field(default_factory=Counter)
    errors: list[RowError] = field(default_factory=list)
    failed: int = 0
    looks: dict[str, EnsName] = field(default_factory=dict)

    def fail(self, error: RowError) -> None:
        """Count a row that failed, and keep its sentence while there is room."""
        self.failed += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)

    def report(self, *, written: bool) -> Report:
        """The sum."""
        return Report(
            rows=self.rows,
            new=self.counts[Outcome.NEW],
            changed=self.counts[Outcome.CHANGED],
            same=self.counts[Outcome.SAME],
            failed=self.failed,
            errors=tuple(self.errors),
            written=written,
        )


class Bulk:
    """Imports below one parent.

    ``check`` raises a GatewayError for a name that is not given out, ``skeleton_of`` tells what a name looks like;
    both are called in a thread. A name that was released rests for ``rest_ms``, except for its last owner. ``tell``
    gives operations that spread the news of rows (those that are new, those that were changed); ``changed`` hears each
    name after its commit.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        offload: Offload,
        check: Callable[[EnsName], None],
        skeleton_of: Callable[[EnsName], str],
        rest_ms: int,
        tell: Callable[[Sequence[NameRow], Sequence[NameRow]], Sequence[Op[Any]]] = lambda new, changed: (),
        changed: Callable[[EnsName], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._offload = offload
        self._check = check
        self._skeleton_of = skeleton_of
        self._rest_ms = rest_ms
        self._tell = tell
        self._changed = changed

    async def check(self, source: Source, how: Import, *, progress: Callable[[int], None] = lambda _: None) -> Report:
        """A dry run: what ``apply`` would do now. ``progress`` is told the number of rows so far."""
        return await self._through(source(), _Tally(how, progress), write=False)

    async def apply(self, source: Source, how: Import, *, progress: Callable[[int], None] = lambda _: None) -> Report:
        """Write the rows with entries in the audit log.

        All or nothing is one transaction up to ``CHUNK`` rows. A longer file is checked as a whole first and then
        written in chunks: only what others take in the meantime can stop it halfway, and the report says so.
        """
        if how.mode is Mode.ALL:
            report = await self.check(source, how)
            if report.failed:
                return report
        return await self._through(source(), _Tally(how, progress), write=True)

    async def _through(self, rows: Iterator[FileRow | RowError], tally: _Tally, *, write: bool) -> Report:
        """Chunk by chunk; stops when somebody else was quicker and nothing may be left out."""
        while chunk := await self._take(rows):
            tally.rows += len(chunk)
            among = await self._known(chunk)
            good = self._good(chunk, among, tally)
            if write and tally.failed and tally.how.mode is Mode.ALL:
                # All of it was right a moment ago, so somebody has been quicker.
                break
            try:
                await self._put(good, among, tally, write=write)
            except NameTaken as error:
                tally.fail(RowError(good[0].line, "", error.detail))
                break
            tally.progress(tally.rows)
        return tally.report(written=write)

    async def _take(self, rows: Iterator[FileRow | RowError]) -> list[FileRow | RowError]:
        """The next rows, read and looked at in a thread."""
        return await self._offload.run(_HEAVY, lambda: [self._judge(each) for each in islice(rows, CHUNK)])

    def _judge(self, each: FileRow | RowError) -> FileRow | RowError:
        if isinstance(each, RowError):
            return each
        try:
            self._check(each.row.name)
        except GatewayError as error:
            return RowError(each.line, each.row.name, error.detail)
        return replace(each, row=replace(each.row, skeleton=self._skeleton_of(each.row.name)))

    async def _known(self, chunk: Sequence[FileRow | RowError]) -> Among:
        rows = [each.row for each in chunk if isinstance(each, FileRow)]
        skeletons = {row.skeleton for row in rows} - {""}
        return await self._store.read(NamesAmong(tuple(row.name for row in rows), tuple(skeletons)))

    def _good(self, chunk: Sequence[FileRow | RowError], among: Among, tally: _Tally) -> list[FileRow]:
        """Rows that nothing speaks against, as far as is known now."""
        rested_since = self._clock() - self._rest_ms
        good: list[FileRow] = []
        for each in chunk:
            if isinstance(each, RowError):
                tally.fail(each)
            elif sentence := _against(each.row, among, rested_since, tally):
                tally.fail(RowError(each.line, each.row.name, sentence))
            else:
                tally.looks.setdefault(each.row.skeleton, each.row.name)
                good.append(each)
        return good

    async def _put(self, good: Sequence[FileRow], among: Among, tally: _Tally, *, write: bool) -> None:
        if not good:
            return
        now, how = self._clock(), tally.how
        put = PutNames(
            tuple(replace(each.row, created_at=now, updated_at=now) for each in good),
            now - self._rest_ms,
            overwrite=how.overwrite,
            strict=how.mode is Mode.ALL,
            then=lambda written: self._then(written, how.actor, now),
        )
        outcomes = await self._store.commit(put) if write else put.foreseen(among.rows)
        for each, outcome in zip(good, outcomes, strict=True):
            if write:
                self._changed(each.row.name)
            if outcome in (Outcome.TAKEN, Outcome.RESTING):
                tally.fail(RowError(each.line, each.row.name, f"{each.row.name} was taken a moment ago"))
            else:
                tally.counts[outcome] += 1

    def _then(self, written: Sequence[NameRow], actor: str, now: int) -> Sequence[Op[Any]]:
        """What goes with rows that are written: entries in the log, and news."""
        entries = tuple(_entry(row, actor, now) for row in written)
        new = [row for row in written if row.created_at == now]
        changed = [row for row in written if row.created_at != now]
        profiles = tuple((row.name, profile_text(row)) for row in changed)
        unlink = (UnlinkStrangers(profiles),) if profiles else ()
        return (AuditAll(entries), *unlink, *self._tell(new, changed))


def _entry(row: NameRow, actor: str, now: int) -> AuditEntry:
    detail = stringify({"owner": row.owner, "sequence": row.sequence})
    return AuditEntry(at=now, actor=actor, action=IMPORTED, subject=row.name, detail=detail)


def _against(row: NameRow, among: Among, rested_since: int, tally: _Tally) -> str:
    """Why this row cannot be written, or nothing."""
    how, old, kept = tally.how, among.rows.get(row.name), among.reservations.get(row.name)
    if old is not None and old.released_at is None:
        # Whoever has a name keeps it, whatever was decided since.
        taken = not how.overwrite and outcome_over(row, old) is Outcome.CHANGED
        return f"{row.name} is taken" if taken else ""
    if kept is not None and kept.kind is Hold.BLOCKED:
        return f"{row.name} is blocked"
    if kept is not None and not how.reserved_too and (kept.holder is None or kept.holder != row.owner):
        return f"{row.name} is reserved"
    if old is not None and old.released_at is not None and old.released_at > rested_since and old.owner != row.owner:
        return f"{row.name} was given up a short time ago and rests"
    other = among.alike.get(row.skeleton) or tally.looks.get(row.skeleton)
    if row.skeleton and not how.alike_too and other not in (None, row.name):
        return f"{row.name} looks like {other}"
    return ""
