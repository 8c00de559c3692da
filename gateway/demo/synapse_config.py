"""The configuration of a Synapse for people who try something out on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

LOG_CONFIG: Final = "log.yaml"
DATABASE: Final = "homeserver.db"

_LIMITS: Final = (
    *("rc_message", "rc_room_creation", "rc_joins_per_room", "rc_admin_redaction", "rc_media_create"),
    *("rc_registration", "rc_registration_token_validity", "rc_3pid_validation", "rc_third_party_invite"),
    *("rc_profile", "rc_user_directory", "rc_reports", "rc_delayed_event_mgmt"),
)
_NESTED_LIMITS: Final = {
    "rc_login": ("address", "account", "failed_attempts"),
    "rc_joins": ("local", "remote"),
    "rc_invites": ("per_room", "per_user", "per_issuer"),
    "rc_presence": ("per_user",),
}
_GENEROUS: Final = {"per_second": 10_000, "burst_count": 10_000}


def homeserver_config(
    *,
    folder: Path,
    server_name: str,
    host: str,
    port: int,
    secrets: Mapping[str, str],
    registrations: Iterable[Path],
    encryption: bool,
    max_upload_size: int | None,
) -> dict[str, Any]:
    """What homeserver.yaml holds; `folder` is absolute, `secrets` are keys of it, the upload size is in bytes."""
    config: dict[str, Any] = {
        "server_name": server_name,
        "public_baseurl": f"http://{host}:{port}/",
        "listeners": [
            {
                "port": port,
                "bind_addresses": [host],
                "type": "http",
                "tls": False,
                "resources": [{"names": ["client"], "compress": False}],
            }
        ],
        **secrets,
        "pid_file": str(folder / "synapse.pid"),
        "log_config": str(folder / LOG_CONFIG),
        "media_store_path": str(folder / "media"),
        "database": {"name": "sqlite3", "args": {"database": str(folder / DATABASE)}},
        "app_service_config_files": [str(path.absolute()) for path in registrations],
        "max_upload_size": max_upload_size or "50M",
        # It speaks with nobody but its users and its application services.
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "report_stats": False,
        "url_preview_enabled": False,
        "enable_registration": False,
        "presence": {"enabled": True},
        # The passwords are worth nothing here, and the default takes a third of a second for each login.
        "bcrypt_rounds": 4,
        "filter_timeline_limit": 1000,
        **dict.fromkeys(_LIMITS, _GENEROUS),
        **{name: dict.fromkeys(parts, _GENEROUS) for name, parts in _NESTED_LIMITS.items()},
    }
    if encryption:
        config["experimental_features"] = {
            "msc2409_to_device_messages_enabled": True,
            "msc3202_transaction_extensions": True,
        }
    return config


def log_config(level: str = "INFO") -> dict[str, Any]:
    """What the logging configuration holds: everything to the standard error stream."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
    }
