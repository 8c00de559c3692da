"""A real Exim, unpacked beside the Postfix that keeps it from being installed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.mail.server import RealMailServer

ROOT = Path(__file__).parents[3] / ".cache/exim"
PROGRAM = ROOT / "usr/sbin/exim4"
MISSING = "Exim is not in .cache/exim; deploy/test.sh puts it there, when it is root on Debian or Ubuntu"
SELECTOR = "exim"
CONFIG = """\
primary_hostname = mx.{domain}
exim_path = {program}
keep_environment =
local_interfaces = {address}
daemon_smtp_ports = 25
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
spool_directory = {folder}/spool
log_file_path = {folder}/exim-%s.log
pid_file_path = {folder}/exim.pid
log_selector = +all
smtp_accept_max_per_host = 100
disable_ipv6 = true
dns_dnssec_ok = 0
smtputf8_advertise_hosts = *
chunking_advertise_hosts =
tls_advertise_hosts =
acl_smtp_rcpt = rcpt
acl_smtp_dkim = dkim
dkim_verify_signers = $dkim_signers
begin acl
rcpt:
  accept hosts = 127.0.0.1
  accept domains = {domain}
  deny message = relay not permitted
dkim:
  accept
begin routers
gone:
  driver = redirect
  domains = {domain}
  local_parts = gone
  data = nobody@nowhere.example
local:
  driver = accept
  domains = {domain}
  transport = maildir
world:
  driver = dnslookup
  transport = world
  self = send
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {box}/box
  create_directory
  user = Debian-exim
  group = Debian-exim
world:
  driver = smtp
  interface = {address}
  allow_localhost
  dkim_domain = {domain}
  dkim_selector = {selector}
  dkim_private_key = {folder}/dkim.key
begin retry
* * F,1h,1s
"""


def find_exim() -> bool:
    """Whether it is there."""
    return PROGRAM.exists()


class Exim(RealMailServer):
    """Signs what it sends with DKIM, and says of what it takes whether its signatures are good (`verdicts`).

    Mail for the user ``gone`` is accepted, and then cannot be delivered.
    """

    domain = "exim.example"
    address = "127.0.0.4"
    user = "Debian-exim"

    def __init__(self) -> None:
        super().__init__()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def dkim_record(self) -> tuple[str, str]:
        """Name and text of the record for its key."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        base64 = "".join(public.decode().splitlines()[1:-1])
        return f"{SELECTOR}._domainkey.{self.domain}", f"v=DKIM1; k=rsa; p={base64}"

    def verdicts(self) -> list[str]:
        """Lines of its log about signatures."""
        return [line for line in self.log().splitlines() if "DKIM:" in line]

    def configure(self) -> None:
        (self.folder / "spool").mkdir()
        shutil.chown(self.folder / "spool", self.user)
        shutil.chown(self.folder, self.user)
        key = self.folder / "dkim.key"
        key.write_bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        shutil.chown(key, self.user)
        config = CONFIG.format(
            domain=self.domain,
            address=self.address,
            folder=self.folder,
            box=self.box,
            selector=SELECTOR,
            program=PROGRAM,
        )
        (self.folder / "exim.conf").write_text(config)
        (self.folder / "exim.conf").chmod(0o644)

    async def start(self) -> None:
        with (self.folder / "output.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(str(PROGRAM), "-C", f"{self.folder}/exim.conf", "-bdf", "-q1s"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
            self._process = None

    async def flush(self) -> None:
        """Its queue runs each second."""
