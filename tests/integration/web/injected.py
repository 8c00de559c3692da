"""A wallet in the browser under the control of a test: announced as EIP-6963 has it, or standing at window.ethereum."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import BrowserContext, Page

from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import address_of, checksum, sign_digest, sign_text

ICON: Final = (
    "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#c60"/></svg>'
    ).decode()
)
_SCRIPT: Final = """
(() => {
  const { id, info, announced } = WALLET;
  const listeners = [];
  const provider = {
    async request({ method, params }) {
      const answer = await window[`ask_${id}`](method, params ?? []);
      if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
      return answer.result;
    },
    on(event, heard) { listeners.push([event, heard]); },
    removeListener(event, heard) {
      const at = listeners.findIndex(([e, h]) => e === event && h === heard);
      if (at >= 0) listeners.splice(at, 1);
    },
  };
  window[`tell_${id}`] = (event, value) => listeners.filter(([e]) => e === event).forEach(([, heard]) => heard(value));
  if (!announced) { window.ethereum = provider; return; }
  const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider } }));
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""


class Refused(Exception):
    """What a wallet throws (EIP-1193)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class InjectedWallet:
    """Signs what it is asked for. ``before`` is called with each method first: it may wait, change this, or refuse."""

    chain_id: int
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    name: str = "Test wallet"
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    signs_with: bytes | None = field(default=None, repr=False)
    before: Callable[[str], Awaitable[None]] | None = None
    asked: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    typed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def account(self) -> str:
        """Checksummed."""
        return checksum(address_of(self.key))

    async def install(self, context: BrowserContext, *, announced: bool = True) -> None:
        """Be there in every page of this context."""
        await context.expose_function(f"ask_{self.id}", self._ask)
        info = {"uuid": self.id, "name": self.name, "icon": ICON, "rdns": "test.wallet"}
        given = json.dumps({"id": self.id, "info": info, "announced": announced})
        await context.add_init_script(_SCRIPT.replace("WALLET", given, 1))

    async def tell(self, page: Page, event: str, value: Any) -> None:
        """Emit an event to the page."""
        await page.evaluate("([name, event, value]) => window[name](event, value)", [f"tell_{self.id}", event, value])

    async def _ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        self.asked.append(method)
        try:
            if self.before is not None:
                await self.before(method)
            return {"result": self._answer(method, params)}
        except Refused as refused:
            return {"error": {"code": refused.code, "message": str(refused)}}

    def _answer(self, method: str, params: list[Any]) -> Any:
        key = self.signs_with or self.key
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return [self.account.lower()]
            case "eth_chainId":
                return hex(self.chain_id)
            case "wallet_switchEthereumChain":
                self.chain_id = int(params[0]["chainId"], 16)
                return None
            case "personal_sign":
                text = bytes.fromhex(params[0][2:]).decode()
                assert params[1].lower() == self.account.lower()
                self.texts.append(text)
                return sign_text(key, text)
            case "eth_signTypedData_v4":
                typed = json.loads(params[1])
                if int(typed["domain"]["chainId"]) != self.chain_id:
                    raise Refused(-32603, "Provided chainId must match the active chainId")
                self.typed.append(typed)
                return sign_typed(key, typed)
        raise Refused(4200, f"{method} is not supported")


def sign_typed(key: bytes, typed: dict[str, Any]) -> str:
    """By an implementation of EIP-712 that is not ours."""
    from eth_account.messages import _hash_eip191_message, encode_typed_data

    return to_hex(sign_digest(key, bytes(_hash_eip191_message(encode_typed_data(full_message=typed)))))


def rejects(*methods: str) -> Callable[[str], Awaitable[None]]:
    """A person who says no to these methods."""

    async def before(method: str) -> None:
        if method in methods:
            raise Refused(4001, "User rejected the request.")

    return before
