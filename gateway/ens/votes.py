"""Agreement of several endpoints: an answer counts when enough of them gave it alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.ens.questions import Answer, EndpointFailed


@dataclass(slots=True)
class _Poll:
    """Who answered what to one question."""

    by_host: list[tuple[str, Answer]] = field(default_factory=list)
    decided: Answer | None = None


class Votes:
    """Answers to several questions, collected endpoint by endpoint until ``quorum`` of them agree on each."""

    def __init__(self, questions: int, quorum: int) -> None:
        self._polls = [_Poll() for _ in range(questions)]
        self._quorum = quorum

    def add(self, host: str, answers: Sequence[Answer | EndpointFailed]) -> list[str]:
        """Count what one endpoint answered, in the order of the questions; returns why it failed, if it did.

        A question that is decided stays so: the first answer that enough endpoints give is right as long as fewer
        of them lie.
        """
        failures: dict[str, None] = {}
        for poll, answer in zip(self._polls, answers, strict=True):
            if isinstance(answer, EndpointFailed):
                failures[f"{host}: {answer}"] = None
                continue
            poll.by_host.append((host, answer))
            if poll.decided is None and Counter(given for _, given in poll.by_host)[answer] >= self._quorum:
                poll.decided = answer
        return list(failures)

    def decision(self) -> tuple[Answer, ...] | None:
        """The answers agreed on, or None while a question is open."""
        decided = tuple(poll.decided for poll in self._polls if poll.decided is not None)
        return decided if len(decided) == len(self._polls) else None

    @property
    def contested(self) -> bool:
        """True when enough endpoints answered a question, but not alike."""
        return any(poll.decided is None and len(poll.by_host) >= self._quorum for poll in self._polls)

    @property
    def voters(self) -> tuple[str, ...]:
        """Hosts that answered a question which is still open, in the order of their names."""
        return tuple(sorted({host for poll in self._polls if poll.decided is None for host, _ in poll.by_host}))

    @property
    def dissenters(self) -> tuple[str, ...]:
        """Hosts that gave another answer than the one agreed on, in the order of their names."""
        return tuple(
            sorted(
                {
                    host
                    for poll in self._polls
                    if poll.decided is not None
                    for host, given in poll.by_host
                    if given != poll.decided
                }
            )
        )
