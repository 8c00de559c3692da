"""`dm3-gateway demo`: start the world, tell the story, keep serving."""

from __future__ import annotations

import asyncio

import structlog
from rich.console import Console

from gateway.demo.email_story import tell_email
from gateway.demo.ground_story import tell_ground
from gateway.demo.names_story import tell_names
from gateway.demo.options import DemoOptions
from gateway.demo.teller import StepFailed, Teller
from gateway.demo.world import EMAIL_DOMAIN, HOST, World, running_world
from gateway.demo.world_file import FILE, write_world_file

log = structlog.get_logger(__name__)


async def run_demo(options: DemoOptions, console: Console, stop: asyncio.Event) -> bool:
    """True when every step held (or the caller stopped it after the story)."""
    peers = options.peers
    console.print("[bold]DM3 Gateway[/bold]: a world on this machine (local chain, relay, resolver, mail)")
    console.print("Matrix and XMPP take no part: their adapters are not written yet.", style="dim")
    async with running_world(options) as world:
        await write_world_file(world)
        teller = Teller(console)
        story = asyncio.create_task(_tell(teller, world, peers))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((story, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not story.done():
            story.cancel()
            await asyncio.gather(story, return_exceptions=True)
            console.print("\nStopped before the story was over.")
            return False
        stopped.cancel()
        try:
            await story
        except StepFailed as failed:
            console.print(f"\n[red]The story ended early:[/red] {failed}")
            return False
        # By now people of other networks have names too.
        await write_world_file(world)
        console.print(f"\n[green]All {teller.steps} steps held[/green], in {teller.seconds:.1f} s.")
        if not options.once:
            _invite(console, world)
            await stop.wait()
            console.print("\nStopping.")
        return True


async def _tell(teller: Teller, world: World, peers: tuple[str, ...]) -> None:
    await tell_ground(teller, world)
    if "email" in peers:
        await tell_email(teller, world)
    await tell_names(teller, world, linked="email" in peers)


def _invite(console: Console, world: World) -> None:
    console.print(f"""
The world goes on until Ctrl-C. Try it:
  web      {world.gateway_url}
  claim    {world.gateway_url}/claim, with a browser's wallet on any chain: it only signs
  mail     any client to {HOST}:{world.smtp_port}, from somebody@mail.example to {world.echo.name}@{EMAIL_DOMAIN}
  chain    {world.ground.url} (chain id {world.ground.chain_id})
  facts    {world.folder / FILE}, with funded accounts and their keys""")
