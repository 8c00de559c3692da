"""The stream of the server as elements, whatever namespaces people write.

The standard library puts a brace between a namespace and a name, and its parser gives the whole document up when a
namespace holds one. Servers pass such a stanza on like any other, so with that parser one message of anybody's would
end the connection of everybody. Here U+0001 stands between the two, which no XML holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

_SEPARATOR: Final = "\x01"

Event = tuple[str, Element]
"""``start`` or ``end``, and the element."""


class StreamParser:
    """Takes the place of ``XMLPullParser(("start", "end"))``; names are written ``{namespace}name`` as there."""

    def __init__(self) -> None:
        self._events: deque[Event | ParseError] = deque()
        self._tree = TreeBuilder()
        self._parser = expat.ParserCreate("utf-8", _SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._tree.data

    def feed(self, data: bytes) -> None:
        """Read on; what is wrong with the stream is raised by `read_events`, behind the elements before it."""
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            self._events.append(ParseError(str(error)))

    def read_events(self) -> Iterator[Event]:
        """What was read since the last time. Raises ParseError where the stream is no XML any more."""
        while self._events:
            event = self._events.popleft()
            if isinstance(event, ParseError):
                raise event
            yield event

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        given = {_name(key): value for key, value in attributes.items()}
        self._events.append(("start", self._tree.start(_name(name), given)))

    def _end(self, name: str) -> None:
        self._events.append(("end", self._tree.end(_name(name))))


def _name(text: str) -> str:
    namespace, separator, name = text.partition(_SEPARATOR)
    return f"{{{namespace}}}{name}" if separator else text
