"""Adapters say whether their networks are within reach; servers that are there are asked in the adapters' own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.settings import MatrixSettings
from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.settings import XmppSettings
from gateway.web.server import listen
from tests.support.house import running_house
from tests.support.waiting import until


async def test_servers_that_nobody_started(tmp_path: Path) -> None:
    for name in ("as", "hs", "xmpp"):
        (tmp_path / name).write_text("a-token-of-twenty-signs")
    with listen("127.0.0.1", 0) as closed:
        # Bound and not listening: nobody else gets this port, and nobody answers there.
        port = closed.getsockname()[1]
        adapters = (
            EmailAdapter(
                EmailSettings.model_validate({"domain": "gw.example", "smtp_host": "127.0.0.1", "smtp_port": 0})
            ),
            MatrixAdapter(
                MatrixSettings(
                    homeserver_url=f"http://127.0.0.1:{port}",
                    server_name="example.org",
                    as_token_file=tmp_path / "as",
                    hs_token_file=tmp_path / "hs",
                )
            ),
            XmppAdapter(
                XmppSettings(component="dm3.localhost", host="127.0.0.1", port=port, secret_file=tmp_path / "xmpp")
            ),
        )
        async with running_house(tmp_path / "house", adapters={each.name: each for each in adapters}) as house:

            async def told() -> Any:
                house.gateway._health._known_at = 0
                answer = await house.http.get(f"{house.url}/readyz")
                assert answer.status_code == 200
                components = answer.json()["components"]
                # Until this node has the right to the component's connection, it is another's to be up.
                return None if components["adapter xmpp"] == "ok" else components

            components = await until(told, 20)
            found = {each: state for each, state in components.items() if each.startswith("adapter ")}
            assert found == {
                "adapter email": "ok",
                "adapter matrix": "HomeserverDown",
                "adapter xmpp": "LinkDown",
            }
