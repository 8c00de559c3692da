"""What the interface takes and gives, as OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import InvalidInput
from gateway.headers import AUTHORIZATION

Model = TypeVar("Model", bound=BaseModel)

NameText = Annotated[str, Field(min_length=1, max_length=255, examples=["bob.gw.eth"])]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", examples=["0x" + "12" * 20])]
Message = Annotated[str, Field(max_length=4096, description="the text that the wallet signed, byte for byte")]
Signature = Annotated[
    str, Field(pattern=r"^0x[0-9a-fA-F]*$", max_length=8194, description="0x hex; of a key, or as ERC-1271 has it")
]
Records = Annotated[
    dict[str, str],
    Field(
        description="lines: addr, coin:<type>, text:<key>, contenthash, pubkey, abi:<type>, interface:<id>, data:<key>",
        examples=[{"addr": "0x" + "12" * 20, "text:url": "https://example.org"}],
    ),
]


class Form(BaseModel):
    """A body: nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WantedName(Form):
    """Who wants which name."""

    name: NameText
    address: Address


class Claim(Form):
    """A claim, signed."""

    name: NameText
    message: Message
    signature: Signature


class SignInAs(Form):
    """Which wallet wants to sign in."""

    address: Address


class SignedMessage(Form):
    """A text and the wallet's signature on it."""

    message: Message
    signature: Signature


class OrderForm(Form):
    """What the owner wants; ``nonce`` and ``expires`` are filled in when the order is prepared."""

    action: Literal["records", "transfer", "release", "renew", "list", "unlink"]
    records: Records | None = None
    to: Address | None = None
    listed: bool | None = None
    nonce: int | None = Field(None, ge=0, description="the name's sequence")
    expires: int | None = Field(None, ge=0, description="seconds since 1970, at most an hour from now")

    def given(self) -> dict[str, Any]:
        """The fields that were given."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class SignedOrder(Form):
    """An order and the owner's signature on it (EIP-712)."""

    order: OrderForm
    signature: Signature


class LinkRequest(Form):
    """Whom a name is to be linked to."""

    network: Annotated[str, Field(max_length=32, examples=["email", "matrix", "xmpp"])]
    person: Annotated[str, Field(min_length=1, max_length=1024, examples=["bob@example.org"])]


class LinkConfirmation(Form):
    """The code that arrived, and the wallet's signature on the profile."""

    code: Annotated[str, Field(max_length=32, examples=["ABCD-2345"])]
    signature: Signature


class NameOut(BaseModel):
    """A name as everybody may see it."""

    name: str
    ascii: str = Field(description="with punycode for letters beyond ASCII")
    parent: str
    owner: str | None = Field(description="the wallet that may change it; null for the operator's own names")
    records: dict[str, str]
    level: Literal["operator", "claimed", "owned", "moved"] = Field(
        description="owned: linked to a person of another network, whose messages the gateway passes on; moved: linked"
        " before, its profile now names another delivery service"
    )
    network: str | None = Field(description="of the linked person")
    listed: bool
    nonce: int = Field(description="of the next order")
    created_at: int = Field(description="milliseconds since 1970, as all times")
    updated_at: int
    expires_at: int | None = Field(description="end of the term; null is for ever")
    grace_until: int | None = Field(description="until then it works and can be renewed")


class AvailabilityOut(BaseModel):
    """Whether a name can be claimed."""

    name: str
    ascii: str
    available: bool
    reason: str | None = Field(description="why not")
    warnings: list[str]
    resembles: list[str] = Field(description="names in use that it can be taken for")
    policy: Literal["open", "allow", "token", "closed"]


class ResolutionOut(BaseModel):
    """What the chain says of a name."""

    name: str
    resolves: bool = Field(description="the chain says the address that the name has here")
    resolver: str | None = Field(description="the contract that speaks for it; null when there is none")
    address: str | None = Field(description="what came back")
    chain_id: int
    took_ms: int
    reason: str | None = Field(description="why it does not resolve")
    advice: str | None = Field(description="what can be done about it")


def read_form(model: type[Model], body: Any) -> Model:
    """The body as a form; raises InvalidInput with a sentence for each fault."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = (f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5])
        raise InvalidInput("; ".join(told)) from None


def described(
    *, takes: type[BaseModel] | None = None, gives: type[BaseModel] | None = None, session: bool = False
) -> dict[str, Any]:
    """How OpenAPI is told of a body that the handler reads itself, within its own bounds, and of its answer.

    Models that FastAPI is given as such make it load version 1 of pydantic, too, which is megabytes.
    """
    found: dict[str, Any] = {"parameters": [AUTHORIZATION]} if session else {}
    if takes is not None:
        found["requestBody"] = {"required": True, **_json_of(takes)}
    if gives is not None:
        found["responses"] = {"200": {"description": gives.__doc__, **_json_of(gives)}}
    return found


def _json_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    return {"content": {"application/json": {"schema": _inlined(schema, definitions)}}}


def answered(model: BaseModel, status: int = 200) -> JSONResponse:
    """A model as an answer."""
    return JSONResponse(model.model_dump(), status)


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).rpartition("/")[2]
    if name in definitions:
        return _inlined(definitions[name], definitions)
    return {key: _inlined(each, definitions) for key, each in value.items()}
