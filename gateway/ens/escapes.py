"""Names of bridged people, reversible: ``@bob:example.org`` is ``bob.example.org.matrix.<parent>``.

One door for everything about escapes: canonical ids come from ``canonical``, local parts of foreign addresses from
``localparts``, the escape of one label from ``labels``.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ens.canonical import (
    EMAIL,
    MATRIX,
    XMPP,
    canonical_email,
    canonical_id,
    canonical_matrix,
    canonical_xmpp,
    join_id,
    split_id,
)
from gateway.ens.labels import (
    MAX_LABEL_BYTES,
    cut_label,
    digest_in,
    escape_host_label,
    escape_label,
    id_digest,
    unescape_host_label,
    unescape_label,
)
from gateway.ens.localparts import (
    MAX_EMAIL_LOCAL,
    MAX_XMPP_LOCAL,
    Alias,
    Localpart,
    matrix_localpart,
    name_from_matrix_localpart,
    name_from_punycode_localpart,
    punycode_localpart,
)
from gateway.ens.names import MAX_NAME_BYTES, normalise
from gateway.errors import InvalidInput, UnknownName
from gateway.ids import CanonicalId, EnsName, Network

__all__ = [
    "EMAIL",
    "MATRIX",
    "MAX_EMAIL_LOCAL",
    "MAX_XMPP_LOCAL",
    "XMPP",
    "Alias",
    "BridgedName",
    "Localpart",
    "bridged_name",
    "canonical_email",
    "canonical_id",
    "canonical_matrix",
    "canonical_xmpp",
    "matrix_localpart",
    "name_from_matrix_localpart",
    "name_from_punycode_localpart",
    "parse_bridged_name",
    "person_labels",
    "punycode_localpart",
]


@dataclass(frozen=True, slots=True)
class BridgedName:
    """What the name of a bridged person says: the id itself, or the digest of one too long to stand in it."""

    name: EnsName
    network: Network
    canonical_id: CanonicalId | None
    digest: str | None


def person_labels(network: Network, canonical: CanonicalId) -> tuple[str, ...]:
    """Labels of a person under the zone of the network: one for the local part, then those of the server.

    A label over 63 bytes is cut and carries the digest of the id. Raises InvalidInput when the id is not canonical.
    """
    if canonical_id(network, canonical) != canonical:
        raise InvalidInput(f"not the canonical form of an id: {canonical!r}")
    local, server = split_id(network, canonical)
    labels = [escape_label(local)]
    labels += [escape_host_label(label) for label in server.split(".")] if server else []
    if all(len(label) <= MAX_LABEL_BYTES for label in labels):
        return tuple(labels)
    digest = id_digest(canonical)
    # A plain host label is escaped before it is cut, so that no cut leaves a hyphen at its end.
    plain = [local, *(server.split(".") if server else [])]
    return tuple(
        label if len(label) <= MAX_LABEL_BYTES else cut_label(escape_label(text), digest)
        for label, text in zip(labels, plain, strict=True)
    )


def bridged_name(network: Network, canonical: CanonicalId, parent: EnsName) -> EnsName:
    """The name of a person: labels of ``person_labels``, the zone of the network, the parent.

    Where all of it would pass 255 bytes, the person gets a single label with the digest of the id; no other name
    under a zone with servers has one label. Raises InvalidInput when the id is not canonical.
    """
    zone = f"{network}.{parent}"
    name = ".".join((*person_labels(network, canonical), zone))
    if len(name.encode()) > MAX_NAME_BYTES:
        local, _ = split_id(network, canonical)
        name = f"{cut_label(escape_label(local), id_digest(canonical))}.{zone}"
    return normalise(name)


def parse_bridged_name(name: EnsName, parent: EnsName) -> BridgedName:
    """Read a name back. Raises UnknownName for every name that ``bridged_name`` gives to nobody.

    Only canonical escapes decode. A name with a digest is taken when its form is right; whether somebody bears it,
    the table of identities knows.
    """
    *labels, zone = name.removesuffix("." + parent).split(".")
    if not name.endswith("." + parent) or not labels:
        raise UnknownName(f"{name} is not in a zone of {parent}")
    network = Network(zone)
    digests = {digest for label in labels if (digest := digest_in(label))}
    if digests:
        if len(digests) > 1 or any(len(label) > MAX_LABEL_BYTES for label in labels):
            raise UnknownName(f"{name} is nobody's name")
        return BridgedName(name, network, None, digests.pop())
    local, *server = (unescape_label(labels[0]), *map(unescape_host_label, labels[1:]))
    if local is None or None in server:
        raise UnknownName(f"{name} holds no canonical escape")
    text = join_id(network, local, ".".join(label for label in server if label is not None))
    try:
        canonical = canonical_id(network, text)
        if canonical == text and bridged_name(network, canonical, parent) == name:
            return BridgedName(name, network, canonical, None)
    except InvalidInput:
        pass
    raise UnknownName(f"{name} is nobody's name")
