"""The two things Ansible itself needs on a host, installed by pyinfra, which needs neither."""

from typing import Any

from dagfleet.errors import DagfleetError
from dagfleet.probe.connection import Connection
from dagfleet.probe.report import HostReport


def missing(report: HostReport) -> tuple[str, ...]:
    """Return the packages Ansible cannot do without here: python3, and sudo to become another user."""
    return tuple(name for name in ("python3", "sudo") if name not in report.commands)


def bootstrap(connection: Connection, packages: tuple[str, ...]) -> None:
    """Install the packages from the distribution; raise DagfleetError with apt's last words."""

    def install(state: Any) -> None:
        from pyinfra.api.operation import add_op
        from pyinfra.operations import apt

        add_op(
            state,
            apt.packages,
            packages=list(packages),
            update=True,
            no_recommends=True,
            _sudo=connection.target.user != "root",
        )

    try:
        connection.operate(install)
    except Exception as error:
        # pyinfra says only that all hosts failed; the next line of the report says what is missing.
        raise DagfleetError(
            f"{connection.target.name}: {' and '.join(packages)} could not be installed with apt-get",
            fix=f"log in and install by hand: apt-get install {' '.join(packages)}",
        ) from error
