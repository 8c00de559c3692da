"""Pushes between the nodes of a cluster, over one channel of Redis. They are hints: what is lost waits in the mailbox.

Heavy imports: loaded only by a node that has a Redis.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from socketio.async_pubsub_manager import AsyncPubSubManager

from gateway.offload import Offload
from gateway.relay.packets import JsonText

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 1.0
"""Pause before a lost Redis is asked again."""


class FanOut(AsyncPubSubManager):  # type: ignore[misc]  # the library has no types
    """A client manager of python-socketio.

    The library's own one for Redis keeps the connections that it replaces, and waits up to a minute for a Redis that
    was away.
    """

    name = "fan-out"

    def __init__(self, url: str, channel: str, *, event: str, offload: Offload) -> None:
        """Arguments of ``event`` are published as text, and are `JsonText` on the other side too."""
        super().__init__(channel=channel)
        self._event = event
        self._offload = offload
        # One more try renews a connection that went stale; more would hold up the pushes to our own sockets.
        once_more = Retry(NoBackoff(), 1)
        self._redis = Redis.from_url(url, socket_connect_timeout=2, health_check_interval=15, retry=once_more)

    async def close(self) -> None:
        """Stop listening to the other nodes."""
        listening = getattr(self, "thread", None)
        if isinstance(listening, asyncio.Task):
            listening.cancel()
            await asyncio.wait({listening})
        await self._redis.aclose()

    async def _publish(self, data: dict[str, Any]) -> None:
        """To all other nodes; the client of Redis renews its connections by itself."""
        try:
            text = await self._offload.run(_size(data), json.dumps, data)
            await self._redis.publish(self.channel, text)
        except (RedisError, OSError) as error:
            log.warning("push.not_published", error=type(error).__name__)

    async def _listen(self) -> AsyncIterator[bytes | dict[str, Any]]:
        """What the other nodes publish; the library passes over what is no message."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(self.channel)
                    async for message in subscription.listen():
                        content = message["data"]
                        yield await self._offload.run(len(content), _read, content, self._event)
            except (RedisError, OSError) as error:
                log.warning("push.not_listening", error=type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)


def _size(message: dict[str, Any]) -> int:
    return sum(len(each) for each in message.get("data") or () if isinstance(each, str))


def _read(content: bytes, event: str) -> bytes | dict[str, Any]:
    try:
        message = json.loads(content)
    except ValueError:
        return content
    if not isinstance(message, dict):
        return content
    if message.get("event") == event and isinstance(message.get("data"), list):
        message["data"] = [JsonText(each) if isinstance(each, str) else each for each in message["data"]]
    return message
