"""Why a host did not let us in, told apart by what the SSH library saw."""

import socket

import paramiko

from dagfleet.errors import UnreachableError
from dagfleet.probe.target import Target

CONNECT_SECONDS = 8
ACCEPT = "dagfleet check --accept-new-host-keys"


def refusal(target: Target, error: BaseException) -> UnreachableError:
    """Return the error a user can act on; pyinfra keeps the library's own exception as the context."""
    cause = error.__context__ or error
    if target.key and not target.key.is_file():
        return _unusable(target, "is not there")
    match cause:
        case paramiko.AuthenticationException():
            refused = _refused(target)
        case paramiko.BadHostKeyException():
            refused = _changed(target)
        case paramiko.SSHException() if "No host key" in str(cause):
            refused = UnreachableError(
                f"{target.name} ({target.endpoint}) shows a host key that nobody has accepted yet",
                fix=f"compare its fingerprint and accept it with: {ACCEPT}",
            )
        case _ if "encrypted" in str(error):
            refused = _unusable(target, "is encrypted")
        case _:
            refused = _silent(target, _silence(target, cause))
    return refused


def _refused(target: Target) -> UnreachableError:
    shown = f"does not let {target.user} in with key {target.key}"
    if target.key is None:
        shown = f"lets {target.user} in with none of your SSH keys"
    return UnreachableError(
        f"{target.name} ({target.endpoint}) {shown}",
        fix=f"add the public key to {target.user}'s authorized_keys there, "
        f"or set hosts.{target.name}.ssh.key",
    )


def _changed(target: Target) -> UnreachableError:
    forget = f"ssh-keygen -f {target.known_hosts} -R {known_as(target)}"
    return UnreachableError(
        f"{target.name} ({target.endpoint}) shows another host key than the one accepted before",
        fix=f"if the machine was set up anew: {forget}, then {ACCEPT}. If not, someone is in between",
    )


def _silence(target: Target, cause: BaseException) -> str:
    """Return what stood in the way of any SSH at all."""
    match cause:
        case socket.gaierror():
            return f'"{target.address}" cannot be resolved'
        case ConnectionRefusedError() | paramiko.ssh_exception.NoValidConnectionsError():
            return "connection refused, no SSH server listens there"
        case TimeoutError():
            return "no answer in time: no route, a firewall, or the machine is down"
        case OSError():
            return cause.strerror or str(cause)
    return f"SSH failed: {cause}"


def known_as(target: Target) -> str:
    """Return the host's name in a known_hosts file: brackets when the port is not 22 (sshd(8))."""
    return target.address if target.port == 22 else f"[{target.address}]:{target.port}"


def _silent(target: Target, fact: str) -> UnreachableError:
    return UnreachableError(
        f"{target.name} ({target.endpoint}) cannot be reached: {fact}",
        fix=f"see that it is up and that hosts.{target.name}.address and .ssh.port in fleet.yml are right",
    )


def _unusable(target: Target, fact: str) -> UnreachableError:
    return UnreachableError(
        f"the SSH key of {target.name}, {target.key}, {fact}",
        fix=f"correct hosts.{target.name}.ssh.key, or leave it out and load the key into your SSH agent",
    )
