"""DMARC records (RFC 9989, section 4.7) as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from adapters.email.authentication.results import Policy

_WEAKER: Final = {Policy.REJECT: Policy.QUARANTINE, Policy.QUARANTINE: Policy.NONE, Policy.NONE: Policy.NONE}
MAX_RECORD: Final = 4_096


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What the owner of a domain publishes; reports, which we do not send, are left out."""

    policy: Policy = Policy.NONE
    subdomains: Policy | None = None
    """``sp``"""
    missing: Policy | None = None
    """``np``: for subdomains that do not exist."""
    strict_dkim: bool = False
    strict_spf: bool = False
    suffix: bool | None = None
    """``psd``: True for y, False for n, None for u."""
    testing: bool = False
    """``t=y``"""

    def policy_for(self, *, below: bool, exists: bool) -> Policy:
        """What applies to the domain itself, or to one `below` it; while testing, one step less (section 4.7)."""
        policy = self.policy
        if below:
            policy = self.subdomains or policy
            if not exists:
                policy = self.missing or policy
        return _WEAKER[policy] if self.testing else policy


def choose_record(texts: Iterable[str]) -> DmarcRecord | None:
    """The one DMARC record among TXT records; None for none and for several, which all count as none."""
    records = [tags for text in texts if (tags := _tags(text)) is not None]
    return _record(records[0]) if len(records) == 1 else None


def _tags(text: str) -> Mapping[str, str] | None:
    """Tags of a record that begins with its version; a malformed tag is left out, and of two the first one counts."""
    if not text.isascii() or len(text) > MAX_RECORD:
        return None
    version, *others = text.split(";")
    name, _, value = version.partition("=")
    if name.strip(" \t").lower() != "v" or value.strip(" \t") != "DMARC1":
        return None
    tags: dict[str, str] = {}
    for each in others:
        name, equals, value = each.partition("=")
        if equals:
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
    return tags


def _record(tags: Mapping[str, str]) -> DmarcRecord | None:
    try:
        policy = Policy(tags.get("p", "none").lower())
        subdomains, missing = (Policy(tags[name].lower()) if name in tags else None for name in ("sp", "np"))
    except ValueError:
        # Section 4.10.1: a record with a malformed policy asks for reports at most.
        if not any(each.strip().lower().startswith("mailto:") for each in tags.get("rua", "").split(",")):
            return None
        policy, subdomains, missing = Policy.NONE, None, None
    return DmarcRecord(
        policy=policy,
        subdomains=subdomains,
        missing=missing,
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        suffix={"y": True, "n": False}.get(tags.get("psd", "u").lower()),
        testing=tags.get("t", "n").lower() == "y",
    )
