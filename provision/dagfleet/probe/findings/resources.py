"""Is there room: memory, disk, inodes?"""

from collections.abc import Iterable

from dagfleet.probe.findings.finding import Finding, Subject
from dagfleet.probe.units import GIB, size

# Measured: web server, daemon, code server and PostgreSQL take 0.5 GiB, Docker and a run 0.3 GiB.
CONTROL_MEMORY = 2 * GIB
HOST_MEMORY = 1 * GIB
LITTLE_DISK = 4 * GIB
NO_DISK = 1 * GIB
LITTLE_INODES = 100_000
NO_INODES = 10_000


def memory(subject: Subject) -> Iterable[Finding]:
    """A host that swaps or kills looks like a bug in somebody's code."""
    wanted = CONTROL_MEMORY if subject.is_control else HOST_MEMORY
    # Kernels keep a part back: 2 GiB machines report 1.9.
    if subject.report.memory < 0.9 * wanted:
        role = "the control host" if subject.is_control else "a host"
        yield subject.warn(
            f"{size(subject.report.memory)} of memory",
            f"give {role} {size(wanted)} or more, runs need theirs on top",
        )


def disk(subject: Subject) -> Iterable[Finding]:
    """Space where Docker keeps images and containers, or where packages go."""
    disk = subject.report.disk
    if disk is None:
        return
    place = f"on {disk.mount}"
    mend = f"free some space {place}" + (": docker system prune" if subject.report.engine else "")
    if disk.free < NO_DISK:
        yield subject.fix(f"{size(disk.free)} free {place}", mend)
    elif disk.free < LITTLE_DISK:
        yield subject.warn(f"{size(disk.free)} free {place}", mend)
    if disk.inodes_free is not None and disk.inodes_free < LITTLE_INODES:
        level = subject.fix if disk.inodes_free < NO_INODES else subject.warn
        yield level(f"{disk.inodes_free} inodes free {place}", f"remove small files {place}")
