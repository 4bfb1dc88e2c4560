"""First contact: host keys that the operator accepts, written down once and demanded ever after."""

import base64
import hashlib
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import paramiko

from dagfleet.errors import UnreachableError
from dagfleet.pki.files import write_atomically
from dagfleet.probe.quiet import quieten
from dagfleet.probe.refusal import ACCEPT, CONNECT_SECONDS, known_as, refusal
from dagfleet.probe.target import Target

PERSONAL = (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class HostKey:
    """A host's public key as it showed itself, not yet trusted."""

    target: Target
    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Return the SHA256 fingerprint as `ssh-keygen -lf` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"


def greet(targets: Iterable[Target]) -> dict[str, UnreachableError]:
    """Make sure that hosts' keys are known before anyone logs in; return the errors of the strangers.

    Keys in the operator's own known_hosts are taken over: who logged in there before has decided already.
    """
    known = cache(_read)
    strangers = [target for target in targets if not _lookup(known(target.known_hosts), target)]
    unknown = [target for target in strangers if not any(_adopt(target, known(file)) for file in PERSONAL)]
    if len(unknown) < len(strangers):
        _forget_cache()
    return dict(zip((each.name for each in unknown), _parallel(_introduced, unknown), strict=True))


def accept(targets: Iterable[Target]) -> list[HostKey]:
    """Trust the keys that hosts not known yet show now, and return them; the caller shows their fingerprints.

    Raises UnreachableError when no SSH server answers.
    """
    known = cache(_read)
    unknown = [target for target in targets if not _lookup(known(target.known_hosts), target)]
    keys = _parallel(shown_key, unknown)
    for key in keys:
        _append(key.target, key.kind, key.blob)
    _forget_cache()
    return keys


def forget(target: Target) -> None:
    """Trust the host's key no longer: another machine may get its address."""
    if not target.known_hosts.is_file():
        return
    name = known_as(target)
    lines = target.known_hosts.read_text().splitlines(keepends=True)
    kept = [line for line in lines if name not in line.partition(" ")[0].split(",")]
    write_atomically(target.known_hosts, "".join(kept).encode())
    _forget_cache()


def shown_key(target: Target) -> HostKey:
    """Return the key the host shows now; raise UnreachableError when no SSH server answers."""
    quieten()
    try:
        with socket.create_connection((target.address, target.port), timeout=CONNECT_SECONDS) as stream:
            transport = paramiko.Transport(stream)
            try:
                transport.start_client(timeout=CONNECT_SECONDS)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise refusal(target, error) from error
    return HostKey(target, key.get_name(), key.asbytes())


def _introduced(target: Target) -> UnreachableError:
    try:
        key = shown_key(target)
    except UnreachableError as error:
        return error
    kind = key.kind.removeprefix("ssh-").removeprefix("ecdsa-sha2-")
    return UnreachableError(
        f"{target.name} ({target.endpoint}) shows a host key that nobody has accepted yet: "
        f"{kind} {key.fingerprint}",
        fix="compare it with what the machine itself says "
        f"(ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then: {ACCEPT}",
    )


def _parallel(act: Callable[[Target], _Result], targets: list[Target]) -> list[_Result]:
    if not targets:
        return []
    with ThreadPoolExecutor(min(32, len(targets))) as pool:
        return list(pool.map(act, targets))


def _forget_cache() -> None:
    # pyinfra reads known_hosts once per process.
    from pyinfra.connectors.sshuserclient.client import get_host_keys

    get_host_keys.cache.clear()


def _adopt(target: Target, personal: paramiko.HostKeys) -> bool:
    found = _lookup(personal, target)
    for kind in found:
        _append(target, kind, found[kind].asbytes())
    return bool(found)


def _read(file: Path) -> paramiko.HostKeys:
    return paramiko.HostKeys(str(file) if file.is_file() else None)


def _lookup(keys: paramiko.HostKeys, target: Target) -> dict[str, paramiko.PKey]:
    known = keys.lookup(known_as(target))
    return {kind: key for kind, key in known.items() if key is not None} if known else {}


def _append(target: Target, kind: str, blob: bytes) -> None:
    target.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = f"{known_as(target)} {kind} {base64.b64encode(blob).decode()}\n"
    # One write of one line with O_APPEND: hosts are met in parallel.
    descriptor = os.open(target.known_hosts, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
