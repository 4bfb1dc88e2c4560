"""A network of namespaces: a host of the fleet, and machines around it. No packet leaves the kernel."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PREFIX = f"dagfleet-test-{os.getpid()}-"
HOST = {4: "10.99.0.1", 6: "fd00:99::1"}
# Who is where on the LAN; "container" is on the host's own Docker network instead.
PEOPLE = {"mate": 2, "operator": 3, "outsider": 4}
CONTAINERS, GATEWAY, CONTAINER = "172.31.250.0/24", "172.31.250.1", "172.31.250.2"
PORTS = (22, 443, 2376, 4443, 5000, 6432, 9100)
LOOPBACK_PORT = 7000

LISTEN = """
import socket, sys
for address, port in [a.rsplit("@", 1) for a in sys.argv[1:]]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    s.listen()
    globals()["keep_" + str(len(globals()))] = s
print("ready", flush=True)
sys.stdin.read()
"""
KNOCK = """
import errno, json, selectors, socket, sys, time
targets, open_, waiting = json.loads(sys.argv[1]), [], selectors.DefaultSelector()
for address, port in targets:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setblocking(False)
    if s.connect_ex((address, port)) in (0, errno.EINPROGRESS):
        waiting.register(s, selectors.EVENT_WRITE, (address, port))
end = time.monotonic() + 0.7
while waiting.get_map() and time.monotonic() < end:
    for key, _ in waiting.select(0.2):
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            open_.append(key.data)
        waiting.unregister(key.fileobj)
print(json.dumps(open_))
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def within(namespace: str, *command: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", PREFIX + namespace, *command)


@dataclass(frozen=True)
class Lan:
    """The network, and the rendered tables to load on its host."""

    tables: Path

    def load(self, table: str) -> None:
        """Load one of the tables on the host."""
        run(*within("host", "nft", "--file", str(self.tables / f"{table}.nft")))

    def unload(self) -> None:
        """Take Dagfleet's table away."""
        run(*within("host", "nft", "add table inet dagfleet; delete table inet dagfleet"))

    def open_to(self, who: str, version: int = 4) -> set[int]:
        """Return the host's ports that `who` can connect to."""
        address = GATEWAY if who == "container" else HOST[version]
        return {port for _, port in self.reached(who, [(address, port) for port in PORTS])}

    def reached(self, who: str, targets: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return which of the targets `who` can connect to."""
        said = run(*within(who, sys.executable, "-c", KNOCK, json.dumps(targets)))
        return [(address, port) for address, port in json.loads(said)]


@pytest.fixture(scope="session")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    directory = tmp_path_factory.mktemp("firewall")
    _render(directory)
    with ExitStack() as stack:
        for namespace in ("lan", "host", "container", *PEOPLE):
            run("ip", "netns", "add", PREFIX + namespace)
            stack.callback(run, "ip", "netns", "del", PREFIX + namespace)
            run(*within(namespace, "ip", "link", "set", "lo", "up"))
        run(*within("lan", "ip", "link", "add", "switch", "type", "bridge"))
        run(*within("lan", "ip", "link", "set", "switch", "up"))
        for name, last in {"host": 1, **PEOPLE}.items():
            _join(name, last)
        _join_container()
        for setting in ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.route_localnet=1"):
            run(*within("host", "sysctl", "-qw", setting))
        _take_routes_that_no_neighbour_should()
        for namespace, addresses in {
            "host": [*(f"::@{port}" for port in PORTS), f"127.0.0.1@{LOOPBACK_PORT}"],
            "container": [f"{CONTAINER}@8000"],
            "mate": ["::@8000"],
        }.items():
            stack.callback(_end, _listen(namespace, addresses))
        yield Lan(directory)


def _join(name: str, last: int) -> None:
    run(*within("lan", "ip", "link", "add", name, "type", "veth", "peer", "eth0", "netns", PREFIX + name))
    run(*within("lan", "ip", "link", "set", name, "master", "switch", "up"))
    run(*within(name, "ip", "address", "add", f"10.99.0.{last}/24", "dev", "eth0"))
    run(*within(name, "ip", "address", "add", f"fd00:99::{last}/64", "dev", "eth0", "nodad"))
    run(*within(name, "ip", "link", "set", "eth0", "up"))


def _join_container() -> None:
    end = ("peer", "eth0", "netns", PREFIX + "container")
    run(*within("host", "ip", "link", "add", "docker1", "type", "veth", *end))
    run(*within("host", "ip", "address", "add", f"{GATEWAY}/24", "dev", "docker1"))
    run(*within("host", "ip", "link", "set", "docker1", "up"))
    run(*within("container", "ip", "address", "add", f"{CONTAINER}/24", "dev", "eth0"))
    run(*within("container", "ip", "link", "set", "eth0", "up"))
    run(*within("container", "ip", "route", "add", "default", "via", GATEWAY))


def _take_routes_that_no_neighbour_should() -> None:
    """An outsider who sends the host packets for its loopback, and for the containers behind it."""
    run(*within("outsider", "ip", "route", "add", CONTAINERS, "via", HOST[4]))
    run(*within("outsider", "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"))
    run(*within("outsider", "ip", "address", "del", "127.0.0.1/8", "dev", "lo"))
    run(*within("outsider", "ip", "route", "add", "127.0.0.1/32", "via", HOST[4], "src", "10.99.0.4"))


def _listen(namespace: str, addresses: list[str]) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        within(namespace, sys.executable, "-c", LISTEN, *addresses),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(timeout=10)
    for stream in (process.stdin, process.stdout):
        assert stream
        stream.close()


def _render(directory: Path) -> None:
    both_operators = ["10.99.0.3", "fd00:99::3"]
    plain = {
        "base_fleet_addresses": ["10.99.0.1", "10.99.0.2"],
        "base_operator_addresses": ["10.99.0.3"],
        "base_web_port": 443,
        "base_private_subnets": [CONTAINERS],
        "base_container_doors": [{"source": CONTAINERS, "address": GATEWAY, "ports": [6432]}],
    }
    tables: dict[str, dict[str, object]] = {
        "plain": {},
        "narrow": {
            "base_ssh_sources": both_operators,
            "base_web_sources": ["10.99.0.2/31", "fd00:99::2"],
            "base_operator_addresses": both_operators,
            "base_open_ports": [
                {"port": 9100, "sources": ["10.99.0.4", "fd00:99::4"]},
                {"port": 5000, "sources": []},
            ],
        },
        "shared": {"base_ssh_sources": both_operators, "base_other_ports": "accept"},
    }
    for name, moved in tables.items():
        (directory / f"{name}.json").write_text(json.dumps(plain | moved))
    subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", f"{','.join(tables)},",
         "-e", json.dumps({"directory": str(directory)}), str(HERE / "render.yml")],
        cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
