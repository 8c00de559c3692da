"""What the mail servers of the tests have in common: a folder, a domain, an address of the loopback, a maildir."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Self

import aiosmtplib

from tests.support.waiting import until

START_SECONDS = 30.0


class RealMailServer(ABC):
    """Takes mail for everybody of its domain, and from everybody on 127.0.0.1 for the world.

    ``domain`` has its only mail server at ``address`` and ``port``.
    """

    domain: str
    address: str
    port: int = 25
    user: str

    def __init__(self) -> None:
        # Its programs run as a user who may not enter the folders of the tests.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.domain}-"))
        self.folder.chmod(0o755)
        self.box = self.folder / "mail"
        self.box.mkdir()
        shutil.chown(self.box, self.user)

    async def __aenter__(self) -> Self:
        try:
            self.configure()
            await self.start()

            async def greets() -> bool | None:
                try:
                    async with aiosmtplib.SMTP(hostname=self.address, port=self.port, start_tls=False):
                        return True
                except (aiosmtplib.SMTPException, OSError):
                    return None

            await until(greets, START_SECONDS)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def configure(self) -> None:
        """Write the configuration."""

    @abstractmethod
    async def start(self) -> None:
        """Begin."""

    @abstractmethod
    async def stop(self) -> None:
        """End."""

    @abstractmethod
    async def flush(self) -> None:
        """Try now what waits."""

    def log(self) -> str:
        """What it wrote so far."""
        return "".join(each.read_text(errors="replace") for each in sorted(self.folder.glob("*.log")))

    async def submit(self, sender: str, recipient: str, content: bytes) -> None:
        """Hand it a mail of one of its users, which it queues."""
        async with aiosmtplib.SMTP(
            hostname=self.address, port=self.port, start_tls=False, source_address=("127.0.0.1", 0)
        ) as client:
            await client.sendmail(sender, [recipient], content)

    def mails(self) -> list[EmailMessage]:
        """What came for its people, oldest first."""
        parser = BytesParser(policy=default)
        files = sorted(self.box.rglob("new/*"), key=lambda each: each.stat().st_mtime_ns)
        return [parser.parsebytes(each.read_bytes()) for each in files]

    async def mail(self, *texts: str, seconds: float = 60) -> EmailMessage:
        """The first mail that holds all these texts."""

        async def look() -> EmailMessage | None:
            return next((each for each in self.mails() if all(text in each.as_string() for text in texts)), None)

        try:
            return await until(look, seconds)
        except TimeoutError:
            raise TimeoutError(f"no mail with {texts}; {self.domain} says:\n{self.log()[-3000:]}") from None

    async def run(self, *command: str) -> None:
        """A program to its end; RuntimeError when it fails."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}: {output.decode()}\n{self.log()}")
