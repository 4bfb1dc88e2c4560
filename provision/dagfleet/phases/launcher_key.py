"""docker.access: ssh. The launcher's key is made on the control host; this machine has its public half."""

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
    work.touched = True
    path.unlink(missing_ok=True)
    play(work, label, "launcher_key", hosts=[control], quiet=True)
    if control in work.going and not path.is_file():
        raise DagfleetError(
            f"{control} made no SSH key for the launcher",
            fix=f"apply again; what the host said: {work.log.path}",
        )
    return control in work.going
