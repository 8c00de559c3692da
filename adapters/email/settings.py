"""The table ``[adapters.email]`` of the configuration."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.email.authentication.decision import Senders, Unverified, WithoutDmarc
from adapters.email.endpoints import Endpoint, parse_endpoint
from gateway.sdk import FilePath, InvalidInput, Section
from gateway.sdk.addresses import canonical_email, normalise

Network = IPv4Network | IPv6Network
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def _domain(text: str) -> str:
    try:
        return canonical_email(f"postmaster@{text.lstrip('@')}").partition("@")[2]
    except InvalidInput as error:
        raise ValueError("must be a domain such as gw.example") from error


def _sender(text: str) -> str:
    try:
        return str(canonical_email(text)) if "@" in text.lstrip("@") else _domain(text)
    except InvalidInput as error:
        raise ValueError("must be a mail address or a domain") from error


def _ens_name(text: str) -> str:
    try:
        return str(normalise(text))
    except InvalidInput as error:
        raise ValueError("must be an ENS name such as alice.eth") from error


def _host_and_port(text: str) -> str:
    parse_endpoint(text)
    return text


def _dns_server(text: str) -> str:
    ip_address(parse_endpoint(text, default_port=53).host)
    return text


HostAndPort = Annotated[str, AfterValidator(_host_and_port)]


class EmailSettings(Section):
    """Every key of ``[adapters.email]``; README.md documents each of them."""

    domain: Annotated[str, AfterValidator(_domain)] = Field(
        description="mail domain of this gateway: alice.eth is alice.eth@domain", examples=["gw.example"]
    )
    hostname: Annotated[str, AfterValidator(_domain)] | None = Field(
        None, description="name in the banner and in EHLO, the name in the MX record; the domain when absent"
    )
    smtp_host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - an MX is for the world
    smtp_port: int = Field(25, ge=0, le=65535, description="MX port; 0 takes a free one")
    submission_port: int | None = Field(
        None, ge=0, le=65535, description="port for log-in over STARTTLS; absent: no submission", examples=[587]
    )
    lmtp_port: int | None = Field(
        None, ge=0, le=65535, description="port on which a mail server in front hands over (LMTP); absent: none"
    )
    lmtp_host: str = Field("127.0.0.1", description="address to listen on for it")
    proxy_networks: tuple[Network, ...] = Field(
        (), description="networks of proxies; connections to the MX port then begin with the PROXY protocol's header"
    )
    tls_cert_file: FilePath | None = Field(None, description="certificate chain (PEM) for STARTTLS")
    tls_key_file: FilePath | None = Field(None, description="private key (PEM) of the certificate")
    submission_users_file: FilePath | None = Field(
        None, description="who may log in: lines of login:scrypt hash:addresses"
    )
    allowed_senders: tuple[Annotated[str, AfterValidator(_sender)], ...] = Field(
        (), description="addresses and domains that may send without log-in", examples=[["example.org"]]
    )
    allowed_networks: tuple[Network, ...] = Field(
        LOOPBACK, description="networks from which allowed_senders is believed", examples=[["127.0.0.0/8"]]
    )
    senders: Senders = Field(
        Senders.AUTHENTICATED, description="who may send without log-in: authenticated mail, or the list only"
    )
    unverified: Unverified = Field(
        Unverified.REJECT, description="mail from nobody whom anything vouches for: reject, or from one shared sender"
    )
    without_dmarc: WithoutDmarc = Field(
        WithoutDmarc.ACCEPT, description="senders proved by SPF or DKIM alone: accept, known (by name), or reject"
    )
    trusted_servers: tuple[Annotated[str, AfterValidator(_domain)], ...] = Field(
        (),
        description="authserv-ids of own mail servers in front, believed from allowed_networks",
        examples=[["mx.example.org"]],
    )
    trusted_forwarders: tuple[Annotated[str, AfterValidator(_domain)], ...] = Field(
        (), description="domains of forwarders whose ARC seals are believed", examples=[["lists.example.org"]]
    )
    operator: Annotated[str, AfterValidator(_ens_name)] | None = Field(
        None, description="ENS name that gets mail to postmaster@ and abuse@", examples=["operator.eth"]
    )
    commands_per_hour: int = Field(30, ge=1, description="mails of one sender to control@, on average")
    size_limit: int = Field(
        36_000_000,
        ge=10_000,
        le=50_000_000,
        description="bytes of a mail; 36 MB hold the 25 MB of files that mail programs send",
    )
    embed_bytes: int = Field(
        5_000_000,
        ge=0,
        le=12_000_000,
        description="bytes of a mail's files inside a DM3 message; what is beyond becomes links",
    )
    link_days: int = Field(30, ge=7, le=365, description="days for which links to files and to originals work")
    linked_bytes: int = Field(
        10_000_000_000, ge=0, description="bytes of all files behind links; a mail that needs more gets 451"
    )
    cut_quotes: bool = Field(
        True, description="cut quoted mail and signatures from answers in known threads; the original is behind a link"
    )
    max_connections: int = Field(200, ge=1, description="open connections on all ports together")
    max_connections_per_address: int = Field(20, ge=1, description="open connections of one client address or IPv6 /64")
    max_bytes_at_once: int = Field(
        500_000_000, ge=50_000_000, description="bytes of all mails that are being received; more get 452"
    )
    max_recipients: int = Field(50, ge=1, le=1000, description="recipients of one mail")
    command_timeout: float = Field(300, gt=0, description="seconds to wait for a command")
    data_timeout: float = Field(180, gt=0, description="seconds to wait for the next block of a mail")
    relay_host: HostAndPort | None = Field(
        None, description="host:port that sends for us; absent: straight to the MX", examples=["127.0.0.1:25"]
    )
    relay_user: str | None = Field(None, description="log-in at the relay host, over verified TLS only")
    relay_password_file: FilePath | None = Field(None, description="file with the password at the relay host")
    dns_servers: tuple[Annotated[str, AfterValidator(_dns_server)], ...] = Field(
        (), description="DNS servers as address or address:port; absent: the system's", examples=[["127.0.0.1:53"]]
    )
    mx_port: int = Field(25, ge=1, le=65535, description="port of other domains' mail servers")
    mta_sts_port: int = Field(443, ge=1, le=65535, description="port of other domains' MTA-STS policies")
    tls_reports: bool = Field(
        False, description="send reports on TLS (RFC 8460) to the domains that ask for them; needs dkim_key_files"
    )
    allow_private_destinations: bool = Field(
        False, description="deliver to mail servers on loopback and private addresses; for trials only"
    )
    send_timeout: float = Field(60, gt=0, description="seconds for each step of an outgoing SMTP session")
    return_path_key_file: FilePath | None = Field(
        None, description="32 bytes as hex that sign our return path; absent: a key from the gateway's seed"
    )
    dkim_selector: str = Field(
        "dm3",
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?$",
        description="selector of the DKIM records, before -ed25519 and -rsa",
    )
    dkim_key_files: tuple[FilePath, ...] = Field(
        (), description="private keys (PEM) that sign our mail", examples=[["dkim-ed25519.pem", "dkim-rsa.pem"]]
    )
    connections_per_destination: int = Field(
        5, ge=1, le=48, description="open connections to the mail servers of one domain"
    )
    mails_per_minute: int = Field(
        2, ge=0, le=1000, description="mails of one DM3 sender to one person, on average; 0: any number"
    )
    mails_at_once: int = Field(30, ge=1, le=1000, description="of these, how many may come together")
    new_people_per_day: int = Field(
        100, ge=1, description="people who never wrote to a DM3 sender, to whom this sender may write in a day"
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        if self.submission_port is not None and (self.tls_cert_file is None or self.submission_users_file is None):
            raise ValueError("submission_port needs tls_cert_file, tls_key_file and submission_users_file")
        if (self.relay_user is None) != (self.relay_password_file is None):
            raise ValueError("relay_user and relay_password_file go together")
        if self.tls_reports and (not self.dkim_key_files or self.relay_host is not None):
            raise ValueError("tls_reports needs dkim_key_files, and no relay_host: TLS is its affair then")
        if self.relay_user is not None and self.relay_host is None:
            raise ValueError("relay_user needs relay_host")
        return self

    @property
    def host_name(self) -> str:
        """What we call ourselves in SMTP."""
        return self.hostname or self.domain

    @property
    def relay(self) -> Endpoint | None:
        """Where all mail goes, when it does not go straight to the MX."""
        return None if self.relay_host is None else parse_endpoint(self.relay_host)
