"""To whom the names of one parent are given, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.dm3.eth import parse_address
from gateway.dm3.sender_rules import SenderRules
from gateway.ens.names import normalise
from gateway.errors import ConfigError, GatewayError
from gateway.ids import EnsName, EthAddress
from gateway.issuance_settings import IssuanceSettings, SubnamesSettings
from gateway.subnames.labels import LabelRules

DAY_MS = 24 * 3600 * 1000


class Admission(StrEnum):
    """Who may claim."""

    OPEN = "open"
    ALLOW = "allow"
    """Addresses on a list."""
    TOKEN = "token"  # noqa: S105 - a token of the chain, not a secret
    """Addresses that hold what is asked for."""
    CLOSED = "closed"
    """Nobody: names are set by the operator and by keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one parent; times in milliseconds."""

    parent: EnsName
    admission: Admission = Admission.CLOSED
    allow: frozenset[EthAddress] = frozenset()
    gate: SenderRules = field(default_factory=SenderRules)
    labels: LabelRules = field(default_factory=LabelRules)
    per_owner: int = 5
    """Names that one address may claim; 0 is no limit."""
    term: int | None = None
    """For how long a claim holds; None for ever."""
    grace: int = 30 * DAY_MS
    """For how long after its term a name still works and can be renewed."""
    rest: int = 30 * DAY_MS
    """For how long a name that was given up is nobody's before somebody else can have it."""

    def until(self, now: int) -> int | None:
        """End of a term that begins now."""
        return None if self.term is None else now + self.term


def policies(parent: EnsName, settings: SubnamesSettings) -> Mapping[EnsName, Policy]:
    """The policy of the gateway's own parent and of each further one; raises ConfigError naming the key."""
    found = {parent: _policy(parent, settings, "subnames")}
    for index, more in enumerate(settings.parents):
        where = f"subnames.parents.{index}"
        try:
            name = normalise(more.name)
        except GatewayError as error:
            raise ConfigError(f"{where}.name: {error.detail}") from None
        if name in found:
            raise ConfigError(f"{where}.name: {name} stands there twice")
        found[name] = _policy(name, more, where)
    return found


def _policy(parent: EnsName, settings: IssuanceSettings, where: str) -> Policy:
    try:
        gate = SenderRules.from_json(settings.gate.to_json())
    except GatewayError as error:
        raise ConfigError(f"{where}.gate: {error.detail}") from None
    admission = Admission(settings.policy)
    if admission is Admission.TOKEN and gate == SenderRules():
        raise ConfigError(f'{where}.gate: says nothing, and policy = "token" needs it')
    return Policy(
        parent=parent,
        admission=admission,
        allow=frozenset(map(parse_address, settings.allow)),
        gate=gate,
        labels=LabelRules(
            min_length=settings.min_length,
            reserved=frozenset(settings.reserved),
            blocked=frozenset(settings.blocked),
            beyond_nameprep=settings.beyond_nameprep,
        ),
        per_owner=settings.per_owner,
        term=settings.term_days * DAY_MS if settings.term_days else None,
        grace=settings.grace_days * DAY_MS,
        rest=settings.rest_days * DAY_MS,
    )
