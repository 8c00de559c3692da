"""What an operator does after `dm3-gateway init`: servers of other networks have to be told of the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from gateway.operations.installation import (
    CONFIG,
    MATRIX_REGISTRATION,
    SECRETS_OF,
    XMPP_EJABBERD,
    XMPP_PROSODY,
    Answers,
)


def next_steps(folder: Path, answers: Answers) -> Iterator[str]:
    """A paragraph for each network; no secret stands in them, but where it is."""
    if "email" in answers.adapters:
        yield _email(folder, answers)
    if "matrix" in answers.adapters:
        yield _matrix(folder, answers)
    if "xmpp" in answers.adapters:
        yield _xmpp(folder, answers)


def _email(folder: Path, answers: Answers) -> str:
    return (
        f"E-mail: {answers.adapters['email']['domain']} needs records in the DNS. This prints and checks them:\n\n"
        f"dm3-gateway doctor --only email --config {_quoted(folder / CONFIG)}"
    )


def _matrix(folder: Path, answers: Answers) -> str:
    table = answers.adapters["matrix"]
    return (
        f"Matrix: wrote {_secrets('matrix')} and {MATRIX_REGISTRATION} for {table['server_name']}.\n"
        f"The homeserver at {table['homeserver_url']} must reach this gateway at {answers.public_url}; if it cannot, "
        "set adapters.matrix.url and run dm3-gateway registration matrix.\n"
        "Put this into homeserver.yaml, let the homeserver read the file (nobody else: it holds both tokens), "
        f"and restart it:\n\napp_service_config_files:\n  - {_quoted(folder / MATRIX_REGISTRATION)}"
    )


def _xmpp(folder: Path, answers: Answers) -> str:
    component = answers.adapters["xmpp"]["component"]
    return (
        f"XMPP: wrote {_secrets('xmpp')}, {XMPP_PROSODY} and {XMPP_EJABBERD} for {component}.\n"
        "Put one of these into the server's configuration, let the server read the file (nobody else: it holds the "
        "secret), and restart it:\n\n"
        f"prosody.cfg.lua:  Include {_quoted(folder / XMPP_PROSODY)}\n"
        f"ejabberd.yml:     include_config_file: [{_quoted(folder / XMPP_EJABBERD)}]"
    )


def _secrets(network: str) -> str:
    return ", ".join(SECRETS_OF[network].values())


def _quoted(path: Path) -> str:
    # Lua and YAML read it as JSON does, as long as there are no control characters in it.
    return json.dumps(str(path.resolve()), ensure_ascii=False)
