"""Registration files as the demo reads them: our own, and what other people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.registration_file import read_registration
from gateway.errors import ConfigError
from gateway.operations.adapter_types import registration
from gateway.operations.installation import matrix_table

OTHERS = """\
# by hand
id: my bridge   # a plain text ends at a blank
url: 'http://127.0.0.1:8080'
as_token: plain-token-of-the-gateway
hs_token: "quoted \\"token\\""
sender_localpart: 'it''s'
namespaces:
  users:
    - exclusive: true
      regex: '@dm3_.*:localhost:8448'
    - regex: "@its:localhost:8448"
      exclusive: true
  aliases:
    - regex: '#dm3_.*:other'
"""


@pytest.mark.parametrize("server", ["example.org", "localhost:8448", "xn--bcher-kva.example", "[::1]:8448"])
def test_our_own_is_read_back(tmp_path: Path, server: str) -> None:
    for which in ("as", "hs"):
        (tmp_path / f"{which}.token").write_text(f"{which}-{'x' * 20}")
    table = matrix_table("http://hs.example", server) | {"as_token_file": "as.token", "hs_token_file": "hs.token"}
    text = registration("matrix", {"matrix": table}, base=tmp_path, public_url="https://gw.example")
    (tmp_path / "ours.yaml").write_text(text)
    read = read_registration(tmp_path / "ours.yaml")
    assert (read.id, read.bot, read.server_name, read.url) == ("dm3", "dm3", server, "https://gw.example")
    assert (read.as_token, read.hs_token) == (f"as-{'x' * 20}", f"hs-{'x' * 20}")
    assert "xxx" not in repr(read)


def test_other_ways_to_write_it(tmp_path: Path) -> None:
    file = tmp_path / "others.yaml"
    file.write_text(OTHERS)
    read = read_registration(file)
    assert (read.id, read.url, read.bot) == ("my", "http://127.0.0.1:8080", "it's")
    assert (read.as_token, read.hs_token) == ("plain-token-of-the-gateway", 'quoted "token"')
    assert read.server_name == "localhost:8448"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: my", "# id: my", "id missing"),
        ("hs_token:", "h_token:", "hs_token missing"),
        ("@its:localhost", "@its:elsewhere", "does not name one server"),
        ("regex: ", "pattern: ", "does not name one server"),
        ("localhost:8448", "(a|b)", "does not name one server"),
    ],
)
def test_what_is_lacking_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "others.yaml"
    file.write_text(OTHERS.replace(old, new))
    with pytest.raises(ConfigError, match=said) as told:
        read_registration(file)
    assert "plain-token" not in str(told.value)


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_registration(tmp_path / "none.yaml")
