"""Files in messages: links out of band (XEP-0066), and what is said about them (XEP-0446, XEP-0447); both ways."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from adapters.xmpp import namespaces as ns
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.stanzas import RemoteFile
from adapters.xmpp.xml import NOTHING, Xml, attribute, child, children, cut_text_of, leaf, tag

MAX_FILES: Final = 20
MAX_URL: Final = 4_096
MAX_NAME: Final = 500
_WEB: Final = re.compile(r"https?://[^\s\x00-\x20]{1,4088}", re.IGNORECASE)
_SIZE: Final = re.compile(r"[0-9]{1,15}")


def read_files(message: Element) -> tuple[RemoteFile, ...]:
    """Files of a message in their order, each once; addresses that are not http or https are left in its text.

    Raises BadStanza with not-acceptable over `MAX_FILES`: to pass on a part would lose the rest unseen.
    """
    found: dict[str, RemoteFile] = {}
    for sharing in children(message, ns.FILE_SHARING, "file-sharing"):
        file = _shared(sharing)
        if file is not None:
            found.setdefault(file.url, file)
    for link in children(message, ns.OOB, "x"):
        url = _web(cut_text_of(child(link, ns.OOB, "url"), MAX_URL + 1))
        if url:
            found.setdefault(url, RemoteFile(url, description=cut_text_of(child(link, ns.OOB, "desc"), MAX_NAME)))
    if len(found) > MAX_FILES:
        raise BadStanza(Condition.NOT_ACCEPTABLE, f"A message may have {MAX_FILES} files.")
    return tuple(found.values())


def _shared(sharing: Element) -> RemoteFile | None:
    sources = child(sharing, ns.FILE_SHARING, "sources")
    if sources is None:
        return None
    urls = (_web(attribute(each, "target", MAX_URL)) for each in children(sources, ns.URL_DATA, "url-data"))
    url = next(filter(None, urls), "")
    if not url:
        return None
    file = child(sharing, ns.FILE_METADATA, "file")
    if file is None:
        return RemoteFile(url)
    size = cut_text_of(child(file, ns.FILE_METADATA, "size"), 20).strip()
    return RemoteFile(
        url,
        name=cut_text_of(child(file, ns.FILE_METADATA, "name"), MAX_NAME).strip(),
        media_type=cut_text_of(child(file, ns.FILE_METADATA, "media-type"), 100).strip(),
        size=int(size) if _SIZE.fullmatch(size) else None,
        description=cut_text_of(child(file, ns.FILE_METADATA, "desc"), MAX_NAME),
    )


def _web(text: str) -> str:
    stripped = text.strip()
    return stripped if _WEB.fullmatch(stripped) else ""


def out_of_band(file: RemoteFile) -> Xml:
    """XEP-0066: clients show a file in its place when the body is this address and nothing else."""
    description = leaf("desc", file.description) if file.description else NOTHING
    return tag("x", leaf("url", file.url), description, xmlns=ns.OOB)


def sharing(file: RemoteFile) -> Xml:
    """XEP-0447, with the metadata that is known."""
    family = file.media_type.partition("/")[0]
    parts = [leaf("media-type", file.media_type or "application/octet-stream")]
    if file.name:
        parts.append(leaf("name", file.name[:MAX_NAME]))
    if file.size is not None:
        parts.append(leaf("size", str(file.size)))
    if file.description:
        parts.append(leaf("desc", file.description[:MAX_NAME]))
    return tag(
        "file-sharing",
        tag("file", *parts, xmlns=ns.FILE_METADATA),
        tag("sources", tag("url-data", xmlns=ns.URL_DATA, target=file.url)),
        xmlns=ns.FILE_SHARING,
        disposition="inline" if family in ("image", "audio", "video") else "attachment",
    )
