"""The byte-exact vectors of tests/vectors/dm3, made by running the reference libraries."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from gateway.dm3.keys import KeyPair

FOLDER = Path(__file__).parents[2] / "vectors" / "dm3"


def load(name: str) -> Any:
    """One file of vectors, parsed."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def pair(fields: dict[str, str]) -> KeyPair:
    """A key pair from its base64 form."""
    return KeyPair(base64.b64decode(fields["publicKey"]), base64.b64decode(fields["privateKey"]))


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    """Names for parametrised tests."""
    return [str(vector.get("id", index)) for index, vector in enumerate(vectors)]
