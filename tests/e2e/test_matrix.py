"""Who gets which answer at which door: every cell of the table in docs/security.md, tried."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.deployed import IMAGE, DeployedFleet
from tests.e2e.matrix import read_matrix

MATRIX = read_matrix()
KNOCK = Path(__file__).with_name("knock.py").read_text()
RUN_GATEWAY, CONTROL_GATEWAY = "172.31.250.1", "172.31.251.1"
FOLDER = "/run/dagfleet-matrix"
# Which hosts have a door, and the question that is put there.
DOORS = {
    "SSH": ("ssh", ("alpha", "beta", "gamma", "delta")),
    "Docker": ("docker", ("alpha", "beta", "gamma")),
    "code servers": ("code", ("beta", "gamma", "delta")),
    "PostgreSQL": ("database", ("alpha",)),
    "web UI": ("web", ("alpha",)),
    "database for containers": ("sql", ("alpha", "beta", "gamma")),
    "code servers for the control plane": ("plain code", ("alpha",)),
}
ASKERS = ("alpha", "gamma")
SERVED = {"beta": "etl", "gamma": "etl", "delta": "reporting"}
Answers = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Place:
    """Somewhere to ask from: a command that runs Python there, and what it can ask."""

    run: Callable[[str], str]
    hosts: tuple[str, ...] = ("alpha", "beta", "gamma", "delta")
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Doors and hosts that are among these and not asked from here."""
    gateways: tuple[str, str] | None = None
    identity: str | None = None
    beside: "Place | None" = None
    """Another place, where what this one cannot ask is asked."""

    def ask(self, fleet: DeployedFleet) -> Answers:
        """Return by door and host what was answered."""
        asked = [
            (door.title, host, self._question(fleet, door.title, host))
            for door in MATRIX.doors
            for host in DOORS[door.title][1]
            if host in self.hosts and (door.title, host) not in self.elsewhere
        ]
        pair = {"certificate": f"{FOLDER}/{self.identity}.pem", "key": f"{FOLDER}/{self.identity}.pem.key"}
        question = {"doors": [each[2] for each in asked], "identity": pair if self.identity else None}
        words = json.loads(self.run(json.dumps(question)))
        answers: Answers = (
            self.beside.ask(fleet) if self.beside else {door.title: {} for door in MATRIX.doors}
        )
        for (door, host, _), word in zip(asked, words, strict=True):
            answers[door][host] = word
        return answers

    def _question(self, fleet: DeployedFleet, door: str, host: str) -> dict[str, object]:
        address, port = fleet.ADDRESSES[host], {each.title: each.ports.start for each in MATRIX.doors}[door]
        if self.gateways and door == "database for containers":
            address = self.gateways[0]
        elif self.gateways and door == "code servers for the control plane":
            address = self.gateways[1]
        if door == "code servers for the control plane":
            port = _location_port(fleet)
        return {"ask": DOORS[door][0], "address": address, "port": port, "location": SERVED.get(host)}


def _location_port(fleet: DeployedFleet) -> int:
    workspace = fleet.sh("alpha", "cat /var/lib/dagfleet/dagster_home/workspace.yaml")
    (port,) = re.findall(r"host: gateway.mesh\n.*location_name: etl\n\s+port: (\d+)|port: (\d+)", workspace)[
        :1
    ]
    return int(port[0] or port[1])


@pytest.fixture(scope="module")
def answers(fleet: DeployedFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answers]]:
    """What everybody was answered, by row; everybody asks at the same time."""
    places = {**_places(fleet), **_identities(fleet, tmp_path_factory.mktemp("matrix"))}
    try:
        with ThreadPoolExecutor(4) as pool:
            yield dict(zip(places, pool.map(lambda place: place.ask(fleet), places.values()), strict=True))
    finally:
        for host in ("alpha", "beta", "gamma"):
            fleet.sh(host, f"rm -rf {FOLDER}")


def _places(fleet: DeployedFleet) -> dict[str, Place]:
    address = fleet.ADDRESSES["alpha"].rpartition(".")[0] + ".66"
    outside = ["docker", "run", "--rm", "-i", "--network", fleet.network, "--ip", address,
               "--entrypoint", "python3", "dagfleet-lab/python:1"]  # fmt: skip
    control_image = "$(docker inspect -f '{{.Config.Image}}' dagfleet-daemon)"
    run = "docker run --rm -i --network dagfleet --entrypoint python3"
    return {
        "an outsider": Place(lambda question: _locally(outside, question)),
        "an operator": Place(lambda question: _locally([sys.executable], question)),
        "another host": Place(_on(fleet, "gamma", "python3"), hosts=("alpha", "beta", "delta")),
        "a run on another host": Place(
            _on(fleet, "gamma", f"{run} {IMAGE}"), hosts=("alpha", "beta", "delta")
        ),
        "a run on the same host": Place(
            _on(fleet, "alpha", f"{run} {control_image}"),
            hosts=("alpha",), gateways=(RUN_GATEWAY, CONTROL_GATEWAY),
        ),
        "a code server on the same host": Place(
            _on(fleet, "beta", "docker exec -i dagfleet-location-etl python3"),
            hosts=("beta",), gateways=(RUN_GATEWAY, CONTROL_GATEWAY),
        ),
        "the control plane, without its keys": Place(
            _on(fleet, "alpha", "docker exec -i dagfleet-daemon python3"),
            gateways=(CONTROL_GATEWAY, CONTROL_GATEWAY),
        ),
    }  # fmt: skip


def _identities(fleet: DeployedFleet, folder: Path) -> dict[str, Place]:
    """Certificates, shown from where firewalls let them through: the control host, and to that one gamma.

    To its own Docker the control host alone comes.
    """
    of_alpha = ("launcher", "gateway", "mesh-client", "mesh-server", "docker-server", "web")
    _stolen_gateway(fleet)
    names = " ".join(f"{name}.pem {name}.pem.key" for name in of_alpha)
    bundle = fleet.sh("alpha", f"cd /etc/dagfleet/pki && tar -ch {names} | base64")
    for host in ASKERS:
        fleet.sh(host, f"mkdir -p {FOLDER} && cd {FOLDER} && echo '{bundle}' | base64 -d | tar -x")
    _put(fleet, "stranger", *_stranger(folder))
    _readers(fleet, folder / "reader")
    shown = {
        "a host, with no certificate": None,
        "`launcher`": "launcher", "`reader`": "reader", "`gateway`": "gateway",
        "a host's `mesh-client`": "mesh-client", "a host's `mesh-server`": "mesh-server",
        "a host's `docker-server`": "docker-server", "the web UI's": "web",
        "`launcher` of another authority": "stranger", "`reader`, revoked": "revoked",
        "`gateway`, revoked": "stolen-gateway",
    }  # fmt: skip
    not_docker = tuple((door, "alpha") for door in DOORS if door != "Docker")
    return {
        row: Place(
            _on(fleet, "alpha", "python3"), identity=identity, elsewhere=not_docker,
            beside=Place(
                _on(fleet, "gamma", "python3"), identity=identity,
                hosts=("alpha",), elsewhere=(("Docker", "alpha"),),
            ),
        )
        for row, identity in shown.items()
    }  # fmt: skip


def _stolen_gateway(fleet: DeployedFleet) -> None:
    """Put the certificate and key with which code servers were called until a moment ago."""
    theirs = fleet.sh("alpha", "cd /etc/dagfleet/pki && tar -ch gateway.pem gateway.pem.key | base64")
    unpack = "base64 -d | tar -x --transform s/^/stolen-/"
    for host in ASKERS:
        fleet.sh(host, f"mkdir -p {FOLDER} && cd {FOLDER} && echo '{theirs}' | {unpack}")
    done = fleet.operator.run("certs", "revoke", "gateway", "--wait", "10m")
    assert done.code == 0, done.output + done.errors


def _put(fleet: DeployedFleet, name: str, certificate: Path, key: Path) -> None:
    for suffix, path in ((".pem", certificate), (".pem.key", key)):
        text = base64.b64encode(path.read_bytes()).decode()
        for host in ASKERS:
            fleet.sh(host, f"umask 077; echo {text} | base64 -d >{FOLDER}/{name}{suffix}")


def _stranger(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "stranger.crt", folder / "stranger.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "1", "-subj", "/CN=launcher", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def _readers(fleet: DeployedFleet, folder: Path) -> None:
    """Put a reader's certificate that was stolen and revoked since, and one that was not."""
    own = fleet.operator.state / "pki" / "operator"
    _put(fleet, "revoked", own / "reader.crt", own / "reader.key")
    for words in (("revoke", "reader"), ("export", "reader", "--out", str(folder))):
        done = fleet.operator.run("certs", *words, "--wait", "10m")
        assert done.code == 0, done.output + done.errors
    _put(fleet, "reader", folder / "cert.pem", folder / "key.pem")


def _locally(python: list[str], question: str) -> str:
    return subprocess.run(
        [*python, "-c", KNOCK], input=question, capture_output=True, text=True, check=True, timeout=90
    ).stdout


def _on(fleet: DeployedFleet, host: str, python: str) -> Callable[[str], str]:
    program = base64.b64encode(KNOCK.encode()).decode()

    def run(question: str) -> str:
        asked = base64.b64encode(question.encode()).decode()
        return fleet.sh(host, f'echo {asked} | base64 -d | {python} -c "$(echo {program} | base64 -d)"')

    return run


@pytest.mark.parametrize("who", MATRIX.rows)
def test_everybody_gets_the_answers_of_the_matrix(answers: dict[str, Answers], who: str) -> None:
    expected = dict(zip((door.title for door in MATRIX.doors), MATRIX.rows[who], strict=True))
    got = {door: "/".join(sorted(set(words.values()))) or "-" for door, words in answers[who].items()}
    assert got == expected


def test_the_matrix_has_a_row_for_everybody_who_asked(answers: dict[str, Answers]) -> None:
    assert set(answers) == set(MATRIX.rows)


@pytest.mark.parametrize("host", DeployedFleet.ADDRESSES)
def test_no_host_listens_where_the_matrix_has_no_door(fleet: DeployedFleet, host: str) -> None:
    listening = [line.split()[4].rpartition(":") for line in fleet.sh(host, "ss -Hltun").splitlines()]
    doors = [door.ports for door in MATRIX.doors if host in DOORS[door.title][1]]
    unnamed = {
        f"{address}:{port}"
        for address, _, port in listening
        if not address.startswith("127.") and not any(int(port) in ports for ports in doors)
    }
    assert unnamed == set()
