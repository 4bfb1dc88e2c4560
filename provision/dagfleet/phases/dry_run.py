"""The work behind `dagfleet plan`: ask the hosts, run the roles in check mode, change nothing."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from dagfleet.errors import DagfleetError
from dagfleet.phases.admitting import refuse_during_upgrade, refuse_unready
from dagfleet.phases.authorities import Store
from dagfleet.phases.checking import refuse_unfit, refuse_unreachable
from dagfleet.phases.images import Source, found, images_to_send, same_image
from dagfleet.phases.journal import standing
from dagfleet.phases.planning import Plan, is_new, plan
from dagfleet.phases.progress import Progress
from dagfleet.phases.settled import seals, settled
from dagfleet.probe.findings import examine
from dagfleet.probe.history import releases
from dagfleet.probe.report import HostReport
from dagfleet.probe.survey import survey
from dagfleet.probe.target import target
from dagfleet.probe.units import count
from dagfleet.runner.log import Log
from dagfleet.runner.outcome import Outcome
from dagfleet.runner.playbook import Ansible, playbook
from dagfleet.secrets import Secrets

if TYPE_CHECKING:
    from dagfleet.fleet import FleetFile


def dry_run(fleet_file: "FleetFile", hosts: Sequence[str], progress: Progress) -> Plan:
    """Return what an apply would change on the hosts; raises what an apply would refuse to start with."""
    targets = [target(fleet_file, host) for host in hosts]
    secrets = Secrets(fleet_file)
    values = secrets.resolve_all()
    with progress.working("plan", f"asking {count(len(hosts), 'host')}") as now:
        seen = survey(targets)
        refuse_unreachable(seen, targets)
        refuse_unfit(examine(fleet_file.fleet, seen.reports))
        control = target(fleet_file, fleet_file.fleet.control.host)
        refuse_during_upgrade(fleet_file.fleet.name, standing(control))
        refuse_unready(fleet_file.fleet, releases(control))
        known = [host for host in hosts if not is_new(seen.reports[host])]
        now("looking which images are missing")
        with closing(Source()) as source:
            images = {host: _lacking(fleet_file, host, source) for host in known}
        wanted = seals(fleet_file, known, values)
        settled_hosts = settled({host: seen.reports[host] for host in known}, wanted)
        asked = [host for host in known if host not in settled_hosts or images[host]]
        now(f"asking every role on {count(len(asked), 'host')}")
        with Log(fleet_file.state / "logs", "plan", secrets.masker()) as log:
            ansible = Ansible(
                inventory=fleet_file.path,
                secrets=values,
                log=log,
                mask=secrets.masker(),
                contract=fleet_file.contract,
            )
            outcome = ansible.run(playbook("site"), limit=asked, check=True) if asked else Outcome()
    if outcome.error:
        raise DagfleetError(
            f"the roles could not be asked: {outcome.error}", fix=f"what they said: {log.path}"
        )
    reports: dict[str, HostReport] = {host: seen.reports[host] for host in hosts}
    store = Store(fleet_file)
    return plan(
        fleet_file.fleet,
        reports,
        outcome,
        authority_keys=store.keys(),
        revoked=store.revoked(),
        images=images,
    )


def _lacking(fleet_file: "FleetFile", host: str, source: Source) -> list[str]:
    """Return the images that an apply would send to the host; what cannot be asked now is not counted."""
    import requests
    from docker.errors import DockerException

    from dagfleet.image import docker_endpoint

    wanted = images_to_send(fleet_file.fleet).get(host, [])
    lacking: list[str] = []
    try:
        with closing(docker_endpoint(fleet_file, host, "reader", timeout=10)) as engine:
            lacking += [name for name in wanted if not same_image(source.find(name), found(engine, name))]
    except (DockerException, requests.RequestException, DagfleetError):
        return lacking
    return lacking
