"""`dm3-gateway demo`: start the world, tell the story, keep serving."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog
from rich.console import Console

from gateway.demo.email_story import tell_email
from gateway.demo.ground_story import tell_ground
from gateway.demo.homeserver import MatrixSide
from gateway.demo.matrix_story import tell_matrix
from gateway.demo.names_story import tell_names
from gateway.demo.options import DemoOptions
from gateway.demo.teller import StepFailed, Teller
from gateway.demo.world import EMAIL_DOMAIN, HOST, World, running_world
from gateway.demo.world_file import FILE, write_world_file
from gateway.demo.xmpp_across import tell_mail_and_xmpp, tell_matrix_and_xmpp
from gateway.demo.xmpp_side import XmppSide
from gateway.demo.xmpp_story import tell_xmpp

log = structlog.get_logger(__name__)

TITLES: Final = {"email": "mail", "matrix": "Matrix", "xmpp": "XMPP"}


async def run_demo(options: DemoOptions, console: Console, stop: asyncio.Event) -> bool:
    """True when every step held (or the caller stopped it after the story)."""
    lacking = options.lacking()
    options = replace(options, without=(*options.without, *lacking))
    parts = ["local chain", "relay", "resolver", *(TITLES[peer] for peer in options.peers)]
    console.print(f"[bold]DM3 Gateway[/bold]: a world on this machine ({', '.join(parts)})")
    for peer, reason in lacking.items():
        title = TITLES[peer]
        console.print(f"{title[:1].upper()}{title[1:]} takes no part: {reason}", style="dim", markup=False)
    over = asyncio.Event()
    living = asyncio.create_task(_while_heard(_live(options, console, stop, over.set)))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((living, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not living.done() and not over.is_set():
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        _last_words(console, "Stopped before the story was over.")
        return False
    return await living


def _last_words(console: Console, text: str) -> None:
    # The terminal may be the reason.
    with contextlib.suppress(OSError):
        console.print(f"\n{text}")


async def _while_heard(living: Coroutine[Any, Any, bool]) -> bool:
    """Rich raises SystemExit when its pipe is closed, and out of a task that would tear the loop down at once."""
    try:
        return await living
    except SystemExit:
        return False


async def _live(options: DemoOptions, console: Console, stop: asyncio.Event, over: Callable[[], None]) -> bool:
    """The world from its start to its end; `over` is called after the last step."""
    async with running_world(options) as world:
        await write_world_file(world)
        teller = Teller(console)
        try:
            await _tell(teller, world, options.peers)
        except StepFailed as failed:
            console.print(f"\n[red]The story ended early:[/red] {failed}")
            return False
        # By now people of other networks have names too.
        await write_world_file(world)
        over()
        console.print(f"\n[green]All {teller.steps} steps held[/green], in {teller.seconds:.1f} s{_untold(world)}.")
        if not options.once:
            _invite(console, world)
            await stop.wait()
            _last_words(console, "Stopping.")
        return True


async def _tell(teller: Teller, world: World, peers: tuple[str, ...]) -> None:
    mail, matrix, xmpp = "email" in peers, world.matrix, world.xmpp
    await tell_ground(teller, world)
    if mail:
        await tell_email(teller, world)
    if matrix is not None and matrix.people is not None:
        await tell_matrix(teller, world, matrix, matrix.people, mail=mail)
    elif matrix is not None:
        teller.chapter("Matrix")
        teller.remark(f"Not told: {matrix.reason}.")
    if xmpp is not None and xmpp.people is not None:
        await tell_xmpp(teller, world, xmpp, xmpp.people)
        if mail:
            await tell_mail_and_xmpp(teller, world, xmpp, xmpp.people.erin)
        if matrix is not None and matrix.people is not None:
            await tell_matrix_and_xmpp(teller, matrix, matrix.people.alice, xmpp, xmpp.people.erin)
    elif xmpp is not None:
        teller.chapter("XMPP")
        teller.remark(f"Not told: {xmpp.reason}.")
    await tell_names(teller, world, linked=mail)


def _untold(world: World) -> str:
    sides = {"Matrix": world.matrix, "XMPP": world.xmpp}
    return "".join(f"; {title} had no chapter, see above" for title, side in sides.items() if side and side.reason)


def _invite(console: Console, world: World) -> None:
    lines = [
        f"web      {world.gateway_url}",
        f"claim    {world.gateway_url}/claim, with a browser's wallet on any chain: it only signs",
    ]
    lines.append(f"operator {world.admin_url}, log in with {world.admin_token}")
    if world.smtp_port:
        to = f"{world.echo.name}@{EMAIL_DOMAIN}"
        lines.append(f"mail     any client to {HOST}:{world.smtp_port}, from somebody@mail.example to {to}")
    if world.matrix is not None:
        lines += _matrix(world, world.matrix)
    if world.xmpp is not None:
        lines += _xmpp(world, world.xmpp)
    lines += [
        f"chain    {world.ground.url} (chain id {world.ground.chain_id})",
        f"facts    {world.folder / FILE}, with funded accounts and their keys",
    ]
    told = "".join(f"\n  {line}" for line in lines)
    console.print(f"\nThe world goes on until Ctrl-C. Try it:{told}", markup=False)


def _matrix(world: World, side: MatrixSide) -> list[str]:
    ghost = side.ghost(world.echo.name)
    who = ""
    if side.people is not None:
        who = f" as {side.people.alice.user_id} with the password {side.people.password}"
    return [
        f"matrix   any client to {side.homeserver.url}{who}:",
        f"         a chat without encryption with {ghost}, or help to {side.bot}",
    ]


def _xmpp(world: World, side: XmppSide) -> list[str]:
    echo = side.contact(world.echo.name)
    if side.people is None or side.host.clients is None:
        return [
            f"xmpp     any client with an account at {side.host.domain}: add {echo}, or run commands of {side.gateway}"
        ]
    (host, port), erin, password = side.host.clients, side.people.erin.jid, side.people.password
    return [
        f"xmpp     any client to {host}:{port}, without TLS, as {erin} with the password {password}:",
        f"         add {echo} to the contacts and write, or run commands of {side.gateway}",
    ]
