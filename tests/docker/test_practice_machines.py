"""Practice machines on this machine's own engine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagfleet.errors import DagfleetError
from dagfleet.lab import engine, machine_image, machines

LAB = "test-machines"


@pytest.fixture(scope="module")
def lab() -> Iterator[machines.Lab]:
    client = engine.client()
    try:
        machines.down(client, LAB)
        yield machines.Lab(client=client, name=LAB, image=machine_image.ensure(client))
    finally:
        machines.down(client, LAB)
        client.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


def machine(name: str, last: int) -> machines.Machine:
    return machines.Machine(name=name, address=f"10.89.6.{last}", ports={})


def up(lab: machines.Lab, folder: Path, *wanted: machines.Machine) -> None:
    key = machines.make_key(folder / "id_ed25519")
    machines.up(lab, list(wanted), public_key=key, known_hosts=folder / "known_hosts")


def ssh(folder: Path, address: str, command: str) -> str:
    return subprocess.run(
        ["ssh", "-i", str(folder / "id_ed25519"), "-o", f"UserKnownHostsFile={folder / 'known_hosts'}",
         "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", f"ops@{address}", command],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout.strip()  # fmt: skip


def test_a_machine_behaves_as_a_host(lab: machines.Lab, folder: Path) -> None:
    up(lab, folder, machine("one", 11), machine("two", 12))
    assert ssh(folder, "10.89.6.11", "hostname; sudo id -u; ps -o comm= 1") == "one\n0\nsystemd"
    keys = {line.split()[2] for line in (folder / "known_hosts").read_text().splitlines()}
    assert len(keys) == 2, "two machines share one host key"


def test_bringing_up_again_keeps_what_runs_and_heals_what_stopped(lab: machines.Lab, folder: Path) -> None:
    up(lab, folder, machine("one", 11), machine("two", 12))
    before = {name: lab.client.containers.get(lab.container_name(name)).id for name in ("one", "two")}
    lab.client.containers.get(lab.container_name("two")).stop()
    up(lab, folder, machine("one", 11), machine("two", 12))
    after = {name: lab.client.containers.get(lab.container_name(name)).id for name in ("one", "two")}
    assert after == before
    assert ssh(folder, "10.89.6.12", "hostname") == "two"


def test_a_machine_outside_the_network_is_refused(lab: machines.Lab, folder: Path) -> None:
    other = machines.Machine(name="far", address="10.90.1.1", ports={})
    with pytest.raises(DagfleetError, match="far lies outside"):
        up(lab, folder, machine("one", 11), other)


def test_taking_down_leaves_nothing_and_spares_others(lab: machines.Lab, folder: Path) -> None:
    up(lab, folder, machine("one", 11))
    foreign = lab.client.containers.create(lab.image, labels={machines.LABEL: "another"}, command="true")
    try:
        assert machines.down(lab.client, LAB) >= 1
        mine = {"label": f"{machines.LABEL}={LAB}"}
        assert lab.client.containers.list(all=True, filters=mine) == []
        assert lab.client.networks.list(filters=mine) == []
        foreign.reload()
    finally:
        foreign.remove(v=True)
