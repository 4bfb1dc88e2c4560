"""docker.access: ssh. The launcher's key is made on the control host; this machine has its public half."""

import time
from dataclasses import dataclass

from dagfleet.derive.docker_ssh import launcher_key, over_ssh
from dagfleet.errors import DagfleetError
from dagfleet.phases.issuing import write
from dagfleet.phases.playing import play
from dagfleet.phases.work import Work


def know_launcher_key(work: Work, label: str) -> bool:
    """Learn the public key that the control host has, or have it made; tell whether it was made now.

    Before hosts are asked to let it in: what they are made from includes it.
    """
    control, path = work.fleet.control.host, launcher_key(work.fleet_file.state)
    if not over_ssh(work.fleet):
        path.unlink(missing_ok=True)
        return False
    if control not in work.going:
        return False
    if shown := work.reports[control].launcher_key:
        content = f"{shown}\n".encode()
        if not path.is_file() or path.read_bytes() != content:
            write(path, content)
        return False
    return _make(work, label, new=False)


@dataclass(frozen=True)
class RevokeLauncherKey:
    """Has another key made, then lets that one in everywhere and the old one nowhere; its sessions end."""

    title: str = "revoke"

    def run(self, work: Work) -> None:
        """Make it and let it in; raises DagfleetError when a host may still accept the old one."""
        started = time.monotonic()
        control = work.fleet.control.host
        if not _make(work, self.title, new=True):
            raise DagfleetError(
                f"{control} made no new key, so the old one still opens every Docker",
                fix=f"{work.command} again once {control} answers",
            )
        work.progress.line(
            self.title, f"another SSH key for the launcher, made on {control}", time.monotonic() - started
        )
        docker_hosts = [host for host in work.hosts if work.fleet.hosts[host].runs_docker]
        play(work, "hosts", "launcher_account", hosts=docker_hosts)
        if work.stopped:
            raise DagfleetError(
                f"{', '.join(work.stopped)} may still let the old key in",
                fix=f"{work.command} again once {'it answers' if len(work.stopped) == 1 else 'they answer'}; "
                "until then keep the thief away from there by other means",
            )
        work.progress.line("done", "the old key opens no Docker of the fleet any more")


def _make(work: Work, label: str, *, new: bool) -> bool:
    control, path = work.fleet.control.host, launcher_key(work.fleet_file.state)
    work.touched = True
    path.unlink(missing_ok=True)
    variables = {"docker_ssh_new_key": True} if new else {}
    play(work, label, "launcher_key", hosts=[control], quiet=True, variables=variables)
    if control in work.going and not path.is_file():
        raise DagfleetError(
            f"{control} made no SSH key for the launcher",
            fix=f"apply again; what the host said: {work.log.path}",
        )
    return control in work.going
