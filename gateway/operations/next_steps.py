"""What an operator does after `dm3-gateway init`: deploy the contract, start the node, tell the networks of it."""

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


def next_steps(folder: Path, answers: Answers, signer: str) -> Iterator[str]:
    """What comes next, then a paragraph for each network; no secret stands in them, but where it is.

    ``signer`` is the address of the resolver's key.
    """
    yield _first(folder, answers, signer)
    if "email" in answers.adapters:
        yield _email(folder, answers)
    if "matrix" in answers.adapters:
        yield _matrix(folder, answers)
    if "xmpp" in answers.adapters:
        yield _xmpp(folder, answers)


def _first(folder: Path, answers: Answers, signer: str) -> str:
    config = _quoted(folder / CONFIG)
    address = answers.resolver_address or "<address of the contract>"
    known = "" if answers.resolver_address else ", and write its address into ens.resolver_addresses"
    return (
        "What comes next:\n"
        f"1. Deploy the resolver contract (deploy/README.md), make it the resolver of {answers.parent}{known}.\n"
        "   It takes\n"
        f"   urls:    {answers.public_url}/ccip/{address}/{{data}}.json?via={{sender}}\n"
        f"   signers: {signer}\n"
        f"2. dm3-gateway migrate --config {config}\n"
        f"3. dm3-gateway serve --config {config}\n"
        f"4. dm3-gateway doctor --config {config}\n"
        "   It says what does not work yet, and how it is put right; ask it at any time, also before."
    )


def _email(folder: Path, answers: Answers) -> str:
    keys = answers.adapter_keys.get("email")
    made = f" wrote {', '.join(keys.files)}, which sign its mail (DKIM)." if keys else ""
    domain = answers.adapters["email"]["domain"]
    return (
        f"E-mail:{made} {domain} needs records in the DNS. This prints and checks them:\n\n"
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
