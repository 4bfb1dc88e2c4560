"""Practice machines: containers with systemd, sshd, an address and a Docker Engine of their own."""

import ipaddress
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from dagfleet.errors import DagfleetError

LABEL = "dagfleet.lab"
BOOT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What the machines of one practice fleet share."""

    client: docker.DockerClient
    name: str
    image: str

    def container_name(self, machine: str) -> str:
        """Return the machine's name on this machine's engine."""
        return f"dagfleet-{self.name}-{machine}"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One practice machine, named as in fleet.yml; `ports` are published on loopback ({inside: outside})."""

    name: str
    address: str
    ports: Mapping[int, int]


def up(lab: Lab, machines: list[Machine], *, public_key: str, known_hosts: Path) -> None:
    """Bring up what is missing or stopped, replace what runs an older image, and wait for every sshd.

    Writes the machines' SSH host keys, read from the machines themselves, to `known_hosts`.
    """
    network = _network(lab, machines)
    containers = [_start(lab, machine, network) for machine in machines]
    for machine, container in zip(machines, containers, strict=True):
        _wait_until(partial(_booted, container), f"{machine.name} did not boot")
        _let_in(container, public_key)
    lines = []
    for machine, container in zip(machines, containers, strict=True):
        _wait_until(partial(_ssh_answers, machine.address), f"sshd on {machine.name} does not answer")
        key = _run(container, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()
        lines.append(f"{machine.address} {key[0]} {key[1]}\n")
    known_hosts.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    known_hosts.write_text("".join(lines))


def down(client: docker.DockerClient, lab: str) -> int:
    """Remove the lab's machines, their volumes and its network; return how many machines there were."""
    containers = client.containers.list(all=True, filters={"label": f"{LABEL}={lab}"})
    for container in containers:
        container.remove(force=True, v=True)
    for network in client.networks.list(filters={"label": f"{LABEL}={lab}"}):
        network.remove()
    return len(containers)


def make_key(path: Path) -> str:
    """Make the operator's SSH key for the practice machines once; return its public half."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dagfleet lab", "-f", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip
    return path.with_suffix(".pub").read_text().strip()


def _network(lab: Lab, machines: list[Machine]) -> Network:
    client, name = lab.client, f"dagfleet-{lab.name}"
    subnet = ipaddress.ip_network(f"{machines[0].address}/24", strict=False)
    outside = [m.name for m in machines if ipaddress.ip_address(m.address) not in subnet]
    if outside:
        raise DagfleetError(
            f"practice machines share one network, but {', '.join(outside)} lies outside {subnet}",
            fix="give all hosts of the practice fleet addresses in one /24 network",
        )
    for network in client.networks.list(filters={"label": f"{LABEL}={lab.name}"}):
        if network.attrs["IPAM"]["Config"][0]["Subnet"] == str(subnet):
            return network
        down(client, lab.name)
    pool = IPAMPool(subnet=str(subnet), gateway=str(next(subnet.hosts())))
    try:
        return client.networks.create(
            name,
            driver="bridge",
            ipam=IPAMConfig(pool_configs=[pool]),
            labels={LABEL: lab.name},
            check_duplicate=True,
        )
    except APIError as error:
        raise DagfleetError(
            f"the practice network {name} ({subnet}) cannot be made: {error.explanation}",
            fix="remove the Docker network that uses these addresses, or change the addresses in fleet.yml",
        ) from error


def _start(lab: Lab, machine: Machine, network: Network) -> Container:
    try:
        container = lab.client.containers.get(lab.container_name(machine.name))
    except NotFound:
        container = _create(lab, machine, network)
    else:
        if container.attrs["Config"]["Image"] != lab.image or not _fits(container, machine, network):
            container.remove(force=True, v=True)
            container = _create(lab, machine, network)
    if container.status != "running":
        try:
            container.start()
        except APIError as error:
            raise DagfleetError(
                f"practice machine {machine.name} does not start: {error.explanation}",
                fix="free that port or address, then try again",
            ) from error
    return container


def _create(lab: Lab, machine: Machine, network: Network) -> Container:
    return lab.client.containers.create(
        lab.image,
        name=lab.container_name(machine.name),
        hostname=machine.name,
        labels={LABEL: lab.name},
        network=network.name,
        networking_config={str(network.name): EndpointConfig("1.41", ipv4_address=machine.address)},
        ports={f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in machine.ports.items()},
        # `--privileged` also asks for CAP_SYS_RESOURCE, which a machine in a container may not have.
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="host",
        volumes=["/sys/fs/cgroup:/sys/fs/cgroup:rw", "/var/lib/docker", "/var/lib/containerd"],
        tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},  # noqa: S108 -- inside the machine
        # Systemd's own signal to halt: 0.4 s to stop, 10 s without.
        stop_signal="SIGRTMIN+3",
        detach=True,
    )


def _fits(container: Container, machine: Machine, network: Network) -> bool:
    endpoint = container.attrs["NetworkSettings"]["Networks"].get(network.name)
    if endpoint is None or (endpoint.get("NetworkID") or network.id) != network.id:
        return False
    address = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
    published = {
        int(inside.partition("/")[0]): int(bindings[0]["HostPort"])
        for inside, bindings in (container.attrs["HostConfig"]["PortBindings"] or {}).items()
    }
    return address == machine.address and published == dict(machine.ports)


def _let_in(container: Container, public_key: str) -> None:
    _run(
        container,
        f"umask 077; echo '{public_key}' >/home/ops/.ssh/authorized_keys; "
        "chown ops:ops /home/ops/.ssh/authorized_keys",
    )


def _run(container: Container, script: str) -> str:
    code, output = _execute(container, script)
    if code:
        raise DagfleetError(f"{container.name}: {output.strip()}")
    return output


def _booted(container: Container) -> bool:
    code, _ = _execute(container, "test -S /run/systemd/private")
    if code:
        return False
    _, state = _execute(container, "systemctl is-system-running")
    return state.strip() in {"running", "degraded"}


def _execute(container: Container, script: str) -> tuple[int, str]:
    code, output = container.exec_run(["sh", "-c", script])
    return int(code or 0), bytes(output).decode(errors="replace")  # type: ignore[arg-type]


def _ssh_answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _wait_until(ready: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise DagfleetError(
                f"{failure} within {BOOT_SECONDS} s", fix="try `dagfleet lab down`, then up again"
            )
        time.sleep(0.2)
