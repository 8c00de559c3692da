"""``[admin]``: the pages for whoever runs the gateway."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gateway.sections import Address, FilePath, Section, WebAddress


class AdminSettings(Section):
    """``[admin]``: a listener of its own, so that nothing of it can be reached by the one that the world uses."""

    enabled: bool = Field(False, description="serve the operator pages at /admin, on a listener of their own")
    host: str = Field("127.0.0.1", description="address to listen on", examples=["127.0.0.1"])
    port: int = Field(8081, ge=0, le=65535, description="port to listen on; 0 takes a free one", examples=[8081])
    url: WebAddress | None = Field(
        None,
        description="how you reach it when that is not http://<host>:<port>, as behind a proxy with TLS",
        examples=["https://admin.gw.example"],
    )
    token_file: FilePath | None = Field(
        None,
        description="file with the token to log in with; made at the first start when it is not there",
        examples=["admin.token"],
    )
    owners: tuple[Address, ...] = Field(
        (), max_length=100, description="wallets that may log in by their signature", examples=[["0x" + "12" * 20]]
    )

    @model_validator(mode="after")
    def _somebody_gets_in(self) -> Self:
        if self.enabled and self.token_file is None and not self.owners:
            raise ValueError('needs token_file = "admin.token" or owners = ["0x…"]: else nobody could log in')
        return self
