"""What is fuzzed: a function that takes any bytes, and the errors by which its protocol refuses some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.errors import GatewayError

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. Whatever else it raises, an AssertionError of its property too, is a fault."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...] = ()
    """Input that is read, or nearly: where the search begins."""
    words: tuple[str, ...] = ()
    """What the search may put in: keywords of the format."""
    refuses: tuple[type[Exception], ...] = (GatewayError,)
    max_bytes: int = 4096
    """Length of the longest input; the bounds of the readers themselves have tests of their own."""

    def __call__(self, data: bytes) -> None:
        """One execution."""
        try:
            self.run(data)
        except self.refuses as error:
            # A named failure that blames us would be answered with a 5xx.
            assert not isinstance(error, GatewayError) or error.status < 500, error


def never_fails(read: Callable[[V], R], value: V) -> R:
    """What a reader that takes anything makes of it; an error by name is a fault, too."""
    try:
        return read(value)
    except GatewayError as error:
        raise AssertionError(f"{error!r} by what never fails") from error


def text_of(data: bytes) -> str:
    """Any text that may come out of JSON: bytes that are no UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def each(*texts: str) -> tuple[bytes, ...]:
    """Seeds that are texts."""
    return tuple(text.encode("utf-8", "surrogateescape") for text in texts)
