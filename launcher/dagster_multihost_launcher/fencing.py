"""Making sure that nothing of a run's earlier attempt works on."""

from dagster_multihost_launcher.cleanup import remove
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.worker import Labels


def remove_all_of(connection: HostConnection, labels: Labels, run_id: str) -> None:
    """Remove the run's containers on a host, its worker's and its steps'.

    Raises:
        HostUnreachable: the host does not answer, so they may work on.
    """
    filters = {"label": [f"{labels.managed}=true", f"{labels.prefix}/run_id={run_id}"]}
    with connection.api() as api:
        found = api.containers(all=True, filters=filters)
    for each in found:
        remove(connection, each["Id"], force=True)
