"""Logs: structured, one line per event, with secrets and people taken out before anything is written.

Who writes to whom is nobody's business but theirs: an operator gets ids of envelopes and jobs, sizes, kinds of errors.
What is hidden is hidden here, for every line, and not by the good sense of whoever writes one.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # structlog loads rich for tracebacks that we never print: 3 MB of every node. It goes without when there is none.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]
else:
    import structlog

LogFormat = Literal["console", "json"]

_SECRET_KEYS = re.compile(
    r"token|secret|passw|seed|salt|private|authorization|cookie|signature|mnemonic", re.IGNORECASE
)
_SECRET_VALUES = re.compile(r"\bBearer\s+\S+|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)", re.IGNORECASE)
HIDDEN = "[hidden]"
SOMEBODY = "[somebody]"
_OURS = frozenset(
    {"event", "level", "logger", "timestamp", "host", "hosts", "relay", "client", "native_id", "bounce", "own_name"}
)
"""Keys whose values are of the machinery: servers that the operator named or mail went to, ids, our own words."""
_WORD = re.compile(r"[^\s\"'`()<>\[\]{},;|]+")
# ENS names, host names, addresses of mail, Matrix and XMPP; addresses of accounts. A dot at the end of a sentence or in
# a number is none of a name.
_OF_SOMEBODY = re.compile(r"@|\.(?=[^\s\d!-/:-@\[-`{-~])|0[xX][0-9a-fA-F]{40}(?![0-9a-fA-F])")
_ERROR = re.compile(r"(?:\w+\.)+\w*(?:Error|Exception|Warning|Interrupt):?")
_SOURCE = re.compile(r"/[^\s/.]+\.py(?::\d+)?\Z")
_QUOTED = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\"[^\"\n]*\"(?!\w)")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?=: |\Z)")
_FRAME = re.compile(r'[\s|]*File "')
_MARKERS = re.compile(r"[\s|~^+-]*")


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values under telling keys, bearer tokens and passwords in URLs become ``[hidden]``."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = _SECRET_VALUES.sub(HIDDEN, value)
    return event


def hide_people(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: whatever reads as a name or an address becomes ``[somebody]``, also in tracebacks.

    Our own events and a few keys are left as they are. A quotation in a reason quotes what somebody sent.
    """
    own = bool(event.get("_from_structlog"))
    for key, value in event.items():
        if key == "exception" or (key == "event" and not own):
            event[key] = _without_people_in_traceback(str(value))
        elif key not in _OURS and not key.startswith("_") and not isinstance(value, bool | int | float | None):
            event[key] = without_people(str(value))
    return event


def without_people(text: str) -> str:
    """The text with names, addresses and quotations hidden."""
    return _WORD.sub(_somebody, _QUOTED.sub(SOMEBODY, text))


def _somebody(found: re.Match[str]) -> str:
    word = found[0]
    of_the_program = _ERROR.fullmatch(word) or _SOURCE.search(word)
    return SOMEBODY if _OF_SOMEBODY.search(word) and not of_the_program else word


def _without_people_in_traceback(text: str) -> str:
    """Frames and their lines of source are ours; what was raised may say whom it was about."""
    lines, source = [], False
    for line in text.split("\n"):
        frame = _FRAME.match(line) is not None
        if not frame and not source and not _MARKERS.fullmatch(line):
            raised = _RAISED.match(line)
            kept = raised[0] if raised else ""
            line = kept + without_people(line[len(kept) :])
        lines.append(line)
        source = frame
    return "\n".join(lines)


def _worth_writing(record: logging.LogRecord) -> bool:
    """Our own lines; of libraries, warnings: what they say below that holds frames, URLs and texts."""
    return record.levelno >= logging.WARNING or isinstance(record.msg, dict)


class Logger(structlog.stdlib.BoundLogger):
    """Makes nothing up for the debug log unless it is written: some of its lines are about each single message."""

    def debug(self, event: str | None = None, *args: Any, **fields: Any) -> Any:
        """A line of the debug log."""
        return super().debug(event, *args, **fields) if self._logger.isEnabledFor(logging.DEBUG) else None


def set_up_logging(level: str = "INFO", form: LogFormat = "console") -> None:
    """Send structlog and the standard library's loggers to stderr in one form. Call once at start."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        # The default prints the variables of each frame: message texts and keys.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.processors.format_exc_info,
            hide_secrets,
            hide_people,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_worth_writing)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "mail.log", "web3", "asyncio", "aiosqlite", "websockets", "urllib3"):
        # They need not even make up what would not be written.
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=Logger,
        cache_logger_on_first_use=True,
    )
