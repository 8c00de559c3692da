"""A real Postfix."""

from __future__ import annotations

import grp
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.mail.server import RealMailServer

DAEMONS = Path("/usr/lib/postfix/sbin")
MISSING = "Postfix is not installed; this does it: apt-get install postfix"
SERVICES = """\
smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def find_postfix() -> bool:
    """Whether it is installed."""
    return shutil.which("postfix") is not None and DAEMONS.is_dir()


class Postfix(RealMailServer):
    """Also, with ``settings``, in front of a gateway: they are further lines of main.cf.

    Mail for the user ``gone`` is accepted, and then cannot be delivered.
    """

    domain = "postfix.example"
    address = "127.0.0.3"
    user = "postfix"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = dict(settings or {})

    def configure(self) -> None:
        user = pwd.getpwnam(self.user)
        for name in ("conf", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", self.user)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "command_directory": "/usr/sbin",
            "daemon_directory": str(DAEMONS),
            "mail_owner": self.user,
            "setgid_group": grp.getgrnam("postdrop").gr_name,
            "maillog_file": f"{self.folder}/postfix.log",
            "maillog_file_prefixes": str(self.folder),
            "inet_interfaces": self.address,
            "inet_protocols": "ipv4",
            "smtp_bind_address": self.address,
            "myhostname": f"mx.{self.domain}",
            "mydestination": "",
            "mynetworks": f"127.0.0.1/32 {self.address}/32",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_authorized_xforward_hosts": "",
            "smtp_tls_security_level": "may",
            "smtputf8_enable": "yes",
            "virtual_alias_maps": f"inline:{{gone@{self.domain}=nobody@nowhere.example}}",
            "virtual_mailbox_domains": self.domain,
            "virtual_mailbox_base": str(self.box),
            "virtual_mailbox_maps": "static:box/",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
            "virtual_minimum_uid": "1",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "1s",
            **self._settings,
        }
        (self.folder / "conf/main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "conf/master.cf").write_text(SERVICES)

    async def start(self) -> None:
        await self.run("postfix", "-c", f"{self.folder}/conf", "start")

    async def stop(self) -> None:
        if (self.folder / "queue/pid/master.pid").exists():
            await self.run("postfix", "-c", f"{self.folder}/conf", "stop")

    async def flush(self) -> None:
        await self.run("postfix", "-c", f"{self.folder}/conf", "flush")
