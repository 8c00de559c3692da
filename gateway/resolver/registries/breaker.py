"""A circuit breaker: what failed several times in a row is left alone for a while, then tried once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from gateway.errors import RegistryDown

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """``failures`` in a row open it, for ``rest`` seconds."""

    failures: int
    rest: float


class Breaker:
    """Closed: everything is tried. Open: nothing is. Half open, after the rest: one attempt decides.

    ``registry`` is its place in the configuration, for the log; ``clock`` gives monotonic seconds.
    """

    def __init__(
        self, limits: BreakerLimits, *, registry: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    def admits(self) -> bool:
        """Whether an attempt may be made now."""
        return self._open_until is None or (self._clock() >= self._open_until and not self._probing)

    @contextmanager
    def attempt(self, *outages: type[Exception]) -> Iterator[None]:
        """Around one attempt: ``outages`` count as failures; all else that is raised comes from a thing that works.

        Raises RegistryDown at once when no attempt may be made. One that is cancelled says nothing.
        """
        if not self.admits():
            raise RegistryDown("it failed several times in a row and is left alone for a while")
        probe = self._probing = self._open_until is not None
        try:
            yield
        except outages:
            self._failed(probe)
            raise
        except Exception:
            self._worked()
            raise
        else:
            self._worked()
        finally:
            if probe:
                self._probing = False

    def _worked(self) -> None:
        if self._open_until is not None:
            log.info("registry.works_again", registry=self._registry)
        self._failures = 0
        self._open_until = None

    def _failed(self, probe: bool) -> None:
        self._failures += 1
        # What began before the rest does not make it longer.
        if probe or (self._open_until is None and self._failures >= self._limits.failures):
            log.warning("registry.left_alone", registry=self._registry, seconds=self._limits.rest)
            self._open_until = self._clock() + self._limits.rest
