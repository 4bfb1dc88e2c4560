"""What role `backup` has written down: which databases, where to, for whom."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from dagfleet_backup.errors import BackupError

FILE = "/etc/dagfleet/backup.json"


@dataclass(frozen=True)
class Source:
    """The mesh of the host that this one stands by for."""

    host: str
    address: str
    port: int

    @property
    def endpoint(self) -> str:
        """Return `address:port`, as errors name it."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """The fleet's own; `databases` are names with their owners, `recipient` a public key of age's or ""."""

    fleet: str
    directory: Path
    keep: int
    recipient: str
    databases: dict[str, str]
    host: str
    port: int
    user: str
    account: str
    configuration: tuple[str, ...]
    releases: Path
    versions: dict[str, str]
    source: Source | None = None
    replica: bool = False


def read(path: str) -> Settings:
    """Read them; raises BackupError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return Settings(
            fleet=found["fleet"],
            directory=Path(found["directory"]),
            keep=int(found["keep"]),
            recipient=found["recipient"],
            databases=dict(found["databases"]),
            host=found["host"],
            port=int(found["port"]),
            user=found["user"],
            account=found["account"],
            configuration=tuple(found["configuration"]),
            releases=Path(found["releases"]),
            versions=dict(found["versions"]),
            source=Source(**found["source"]) if found.get("source") else None,
            replica=bool(found.get("replica")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{path} cannot be used: {error!r}", fix="write it again: dagfleet apply --full"
        ) from None


def become(account: str) -> None:
    """Go on as PostgreSQL's system user: nothing that follows needs root, or has a way back to it."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(account)
    except KeyError:
        raise BackupError(
            f"there is no user {account} here", fix="install PostgreSQL: dagfleet apply"
        ) from None
    os.initgroups(account, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = user.pw_dir
    # A caller's working directory may be closed to this user; PostgreSQL's programs complain of that.
    os.chdir("/")
