"""The operator's own `ssh`, for what streams: output that goes on until somebody stops it."""

import shlex
from collections.abc import Sequence

from dagfleet.probe.refusal import CONNECT_SECONDS
from dagfleet.probe.target import Target

# What ssh ends with when it could not log in, or lost the connection (ssh(1)).
SSH_FAILED = 255


def ssh(target: Target, command: Sequence[str]) -> list[str]:
    """Return the argument list that runs a command as root on a host whose key is known; nothing is asked."""
    words = list(command) if target.user == "root" else ["sudo", "-n", *command]
    return [
        "ssh",
        # Only the fleet's own list of host keys counts, as for everything else that enters a host.
        *("-o", f'UserKnownHostsFile="{target.known_hosts}"', "-o", "StrictHostKeyChecking=yes"),
        *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "LogLevel=ERROR"),
        *("-p", str(target.port), "-l", target.user),
        *(("-i", str(target.key), "-o", "IdentitiesOnly=yes") if target.key else ()),
        target.address,
        shlex.join(words),
    ]
