"""The door to notification settings, in the shapes and sentences of the reference (its /notifications)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, JsonObject, parse_object
from gateway.errors import FetchRefused, InvalidInput, NotFound, NotificationRefused, UnknownAccount
from gateway.headers import AUTHORIZATION, authorization_of
from gateway.ids import EthAddress
from gateway.lifecycle import Clock
from gateway.rates import Rate
from gateway.relay.notify.codes import Codes
from gateway.relay.notify.mail_address import parse_mail_address
from gateway.relay.notify.offered import Offered, Way
from gateway.relay.notify.subscription import parse_subscription
from gateway.relay.sessions import Sessions
from gateway.relay.turned_away import TurnedAway
from gateway.store import Store
from gateway.store.channels import (
    Channel,
    ChannelKind,
    CodeCheck,
    PutChannel,
    RemoveChannel,
    SetNotify,
    Subscriber,
    SubscriberAt,
    SwitchChannel,
)
from gateway.store.sessions import Session

MAX_BODY: Final = 16_384
"""Bytes of a request; the largest part of one is a push subscription."""
NOT_NAMES: Final = frozenset({"global", "otp", "verify", "channel"})
"""Path segments of routes, which a forgotten name must not turn into names."""
GUESS_ERRORS: Final = {
    CodeCheck.WRONG: "Invalid OTP",
    CodeCheck.EXPIRED: "OTP is expired",
    CodeCheck.NONE: "Otp not found, please resend the OTP for verification",
}


class NotificationsApi:
    """Routes under ``/notifications``; all want a bearer token of the name's owner.

    What cannot be done raises NotificationRefused with the reference's sentence, which clients compare.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        store: Store,
        offered: Offered,
        codes: Codes,
        changed: Callable[[EthAddress], None],
        bodies: Bodies,
        clock: Clock,
        rate: Rate,
    ) -> None:
        """`changed` is told whose global setting was changed here."""
        self._sessions = sessions
        self._store = store
        self._offered = offered
        self._codes = codes
        self._changed = changed
        self._bodies = bodies
        self._clock = clock
        self._rate = rate

    def router(self) -> APIRouter:
        """All routes, with and without ``/ds`` in front and a slash behind; fixed segments before names."""
        router = APIRouter(tags=["notifications"], dependencies=[Depends(TurnedAway(self._rate))])
        header = {"parameters": [AUTHORIZATION]}
        for prefix in ("/ds/notifications", "/notifications"):
            for path, method, endpoint in (
                ("/global/{name}", "GET", self.get_global),
                ("/global/{name}", "POST", self.set_global),
                ("/otp/verify/{name}", "POST", self.verify),
                ("/otp/{name}", "POST", self.send_code),
                ("/channel/{name}", "POST", self.switch_channel),
                ("/channel/{kind}/{name}", "DELETE", self.remove_channel),
                ("/{name}", "GET", self.channels),
                ("/{name}", "POST", self.add_channel),
            ):
                documented = prefix.startswith("/ds")
                router.add_api_route(
                    prefix + path,
                    endpoint,
                    methods=[method],
                    include_in_schema=documented,
                    openapi_extra=header,
                )
                router.add_api_route(prefix + path + "/", endpoint, methods=[method], include_in_schema=False)
        return router

    async def get_global(self, name: str, request: Request) -> Response:
        """{isEnabled}: whether any notification is sent."""
        session = await self._session(request, name)
        return JSONResponse({"isEnabled": (await self._subscriber(session)).notify})

    async def set_global(self, name: str, request: Request) -> Response:
        """Body {isEnabled}; 404 for a name that has no account here."""
        session = await self._session(request, name)
        enabled = (await self._read(request)).get("isEnabled")
        if not isinstance(enabled, bool):
            raise NotificationRefused("Invalid value")
        if not await self._store.commit(SetNotify(session.address, enabled)) and enabled:
            raise UnknownAccount(f"{session.name} has no account here")
        self._changed(session.address)
        return _ok()

    async def channels(self, name: str, request: Request) -> Response:
        """{notificationChannels: [{type, config: {recipientValue, isEnabled, isVerified}}]}, none while all is off."""
        session = await self._session(request, name)
        subscriber = await self._subscriber(session)
        shown = subscriber.channels if subscriber.notify else ()
        return JSONResponse({"notificationChannels": [_channel_json(channel) for channel in shown]})

    async def add_channel(self, name: str, request: Request) -> Response:
        """Body {recipientValue, notificationChannelType}; a mail address gets a code, a browser is believed."""
        session = await self._session(request, name)
        body = await self._read(request)
        kind = _kind(body.get("notificationChannelType"))
        recipient = _recipient(kind, body.get("recipientValue"))
        await self._switched_on(session)
        self._check(self._way(kind), kind, recipient)
        put = PutChannel(session.address, kind, recipient, kind is ChannelKind.PUSH, self._clock())
        if kind is ChannelKind.PUSH:
            await self._store.commit(put)
        else:
            await self._codes.ask(session.address, session.name, recipient, put)
        return _ok()

    async def send_code(self, name: str, request: Request) -> Response:
        """Body {notificationChannelType}: another code for a channel that is not verified."""
        session = await self._session(request, name)
        body = await self._read(request)
        kind = _kind(body.get("notificationChannelType"))
        channel = await self._unverified(session, kind)
        await self._codes.ask(session.address, session.name, channel.recipient)
        return _ok()

    async def verify(self, name: str, request: Request) -> Response:
        """Body {otp, notificationChannelType}."""
        session = await self._session(request, name)
        body = await self._read(request)
        code = body.get("otp")
        if not code:
            raise NotificationRefused("OTP is missing")
        kind = _kind(body.get("notificationChannelType"))
        channel = await self._unverified(session, kind)
        if not isinstance(code, str):
            raise NotificationRefused(GUESS_ERRORS[CodeCheck.WRONG])
        result = await self._codes.guess(session.address, channel.recipient, code)
        if result is not CodeCheck.RIGHT:
            raise NotificationRefused(GUESS_ERRORS[result])
        return _ok()

    async def switch_channel(self, name: str, request: Request) -> Response:
        """Body {isEnabled, notificationChannelType}."""
        session = await self._session(request, name)
        body = await self._read(request)
        kind = _kind(body.get("notificationChannelType"))
        enabled = body.get("isEnabled")
        if not isinstance(enabled, bool):
            raise NotificationRefused("isEnabled must have boolean value" if enabled else "isEnabled value is missing")
        await self._switched_on(session)
        self._way(kind)
        if not await self._store.commit(SwitchChannel(session.address, kind, enabled)):
            raise _not_configured(kind)
        return _ok()

    async def remove_channel(self, kind: str, name: str, request: Request) -> Response:
        """{message} when the channel is gone."""
        session = await self._session(request, name)
        removed = _kind(kind)
        await self._switched_on(session)
        if not await self._store.commit(RemoveChannel(session.address, removed)):
            raise _not_configured(removed)
        return JSONResponse({"message": f"Notification channel {removed} has been removed successfully"})

    async def _session(self, request: Request, name: str) -> Session:
        if name in NOT_NAMES:
            raise NotFound(f"{name} is no name but a part of a path")
        return await self._sessions.authenticate(authorization_of(request), name)

    async def _read(self, request: Request) -> JsonObject:
        async with self._bodies.body(request.scope, request.receive, max_bytes=MAX_BODY) as body:
            return parse_object(body, max_bytes=MAX_BODY, max_depth=4)

    async def _subscriber(self, session: Session) -> Subscriber:
        return await self._store.read(SubscriberAt(session.address))

    async def _switched_on(self, session: Session) -> Subscriber:
        subscriber = await self._subscriber(session)
        if not subscriber.notify:
            raise NotificationRefused("Global notifications is off")
        return subscriber

    def _way(self, kind: ChannelKind) -> Way:
        way = self._offered.way(kind)
        if way is None:
            raise NotificationRefused(f"Notification channel {kind} is currently not supported by the DS")
        return way

    def _check(self, way: Way, kind: ChannelKind, recipient: str) -> None:
        try:
            way.check(recipient)
        except (InvalidInput, FetchRefused) as error:
            raise _invalid(kind) from error

    async def _unverified(self, session: Session, kind: ChannelKind) -> Channel:
        """The channel of a kind, which is on and waits for its code."""
        subscriber = await self._switched_on(session)
        self._way(kind)
        channel = subscriber.channel(kind)
        if channel is None:
            raise _not_configured(kind)
        if not channel.enabled:
            raise NotificationRefused(f"{kind} notification channel is not enabled")
        if channel.verified:
            raise NotificationRefused(f"{kind} notification channel is already verified")
        return channel


def _kind(value: Json) -> ChannelKind:
    if not value:
        raise NotificationRefused("Notification Channel Type is missing")
    if value not in list(ChannelKind):
        raise NotificationRefused("Invalid notification channel type")
    return ChannelKind(str(value))


def _recipient(kind: ChannelKind, value: Json) -> str:
    """The recipient in the one spelling that is stored."""
    if not value:
        raise NotificationRefused("Recipient value is missing")
    if not isinstance(value, str):
        raise _invalid(kind)
    try:
        return parse_mail_address(value) if kind is ChannelKind.EMAIL else parse_subscription(value).to_text()
    except InvalidInput as error:
        raise _invalid(kind) from error


def _invalid(kind: ChannelKind) -> NotificationRefused:
    return NotificationRefused(f"Invalid {kind.lower()} value")


def _not_configured(kind: ChannelKind) -> NotificationRefused:
    return NotificationRefused(f"{kind} notification channel is not configured")


def _channel_json(channel: Channel) -> JsonObject:
    config: JsonObject = {
        "recipientValue": channel.recipient,
        "isEnabled": channel.enabled,
        "isVerified": channel.verified,
    }
    return {"type": channel.kind.value, "config": config}


def _ok() -> Response:
    return PlainTextResponse("OK")
