"""Rules that look at more than one key of fleet.yml.

They read the plain values, tolerantly, so that they speak up even when other keys have mistakes of their own.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from dagfleet.fleet.breaking import latest
from dagfleet.fleet.document import KeyPath
from dagfleet.fleet.mistakes import did_you_mean
from dagfleet.fleet.model import Docker, Host, Mesh, Registry, Ssh, Web
from dagfleet.fleet.values import is_ipv4
from dagfleet.fleet.versions import PYTHON

Finding = tuple[KeyPath, str]

FIRST_LOCATION_PORT = 20_000
LAST_LOCATION_PORT = 32_767  # Linux hands out ports above this one to outgoing connections
INTERNAL_PORTS = {3000: "the web server", 6432: "PgBouncer", 6433: "a standby's replication"}
REGISTRY_PORT = 5001  # on loopback, behind HAProxy


def broken_rules(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the place and the sentence for each broken rule."""
    for rule in (
        _control_host,
        _standby,
        _addresses,
        _ports,
        _max_runs,
        _python,
        _pools,
        _location_code,
        _subnets,
        _open_ports,
        _registry,
        _postgres,
        _acknowledged,
    ):
        yield from rule(data)


def _control_host(data: Mapping[str, Any]) -> Iterator[Finding]:
    name, hosts = _mapping(data, "control").get("host"), _mapping(data, "hosts")
    if not isinstance(name, str):
        return
    if name not in hosts:
        yield ("control", "host"), _no_host(name, hosts)
    elif _mapping(hosts, name).get("docker") == "none":
        yield (
            ("control", "host"),
            f'"{name}" has docker: none, but the control plane needs Docker; name another',
        )


def _standby(data: Mapping[str, Any]) -> Iterator[Finding]:
    control, hosts = _mapping(data, "control"), _mapping(data, "hosts")
    name, here = control.get("standby"), ("control", "standby")
    if name is None:
        if control.get("replication") is not None:
            yield ("control", "replication"), "needs control.standby: HOST, the host that replicates"
        return
    if not isinstance(name, str):
        return
    if name not in hosts:
        yield here, _no_host(name, hosts)
    elif name == control.get("host"):
        yield here, f'"{name}" is the control host itself; name another'
    elif _mapping(hosts, name).get("docker") == "none":
        yield here, f'"{name}" has docker: none, but the control plane needs Docker; name another'
    if _mapping(data, "docker").get("access") == "ssh":
        yield here, "with docker.access ssh only the control host has the launcher's key; use mesh or tls"
    if _mapping(data, "postgres").get("mode") == "external":
        yield here, "takes the database over, and with postgres.mode external it is elsewhere; take this out"
    elif control.get("replication") != "streaming" and not _mapping(data, "backup").get("schedule"):
        yield here, 'takes over from the last backup; say when they are made: backup: {schedule: "*:0/30"}'


def _addresses(data: Mapping[str, Any]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, host in _mappings(data, "hosts"):
        address = host.get("address")
        if not isinstance(address, str):
            continue
        if address in first:
            yield ("hosts", name, "address"), f'{address} is the address of "{first[address]}" already'
        first.setdefault(address, name)


def _ports(data: Mapping[str, Any]) -> Iterator[Finding]:
    control = _mapping(data, "control")
    for name, host in _mappings(data, "hosts"):
        ports: dict[KeyPath, object] = {
            ("hosts", name, "ssh", "port"): _mapping(host, "ssh").get("port", _default(Ssh, "port")),
            ("hosts", name, "mesh", "port"): _mapping(host, "mesh").get("port", _default(Mesh, "port")),
        }
        if host.get("docker") != "none":
            ports["hosts", name, "docker_port"] = host.get("docker_port", _default(Host, "docker_port"))
        if name in (control.get("host"), control.get("standby")):
            ports["control", "web", "port"] = _mapping(control, "web").get("port", _default(Web, "port"))
        taken: dict[object, str] = dict(INTERNAL_PORTS.items())
        if name == control.get("host") and data.get("registry") is not None:
            ports["registry", "port"] = _mapping(data, "registry").get("port", _default(Registry, "port"))
            taken[REGISTRY_PORT] = "the registry behind HAProxy"
        for path, port in ports.items():
            if port in taken:
                yield path, f"port {port} is used by {taken[port]} on {name}; choose another"
            elif (
                isinstance(port, int)
                and FIRST_LOCATION_PORT <= port <= LAST_LOCATION_PORT
                and "ssh" not in path
            ):
                span = f"{FIRST_LOCATION_PORT} to {LAST_LOCATION_PORT}"
                yield path, f"port {port} may be given to a location ({span}); choose another"
            taken[port] = ".".join(map(str, path))


def _max_runs(data: Mapping[str, Any]) -> Iterator[Finding]:
    for name, host in _mappings(data, "hosts"):
        if host.get("docker") == "none" and host.get("max_runs") is not None:
            yield (
                ("hosts", name, "max_runs"),
                "counts containers, but this host has docker: none; set limits in its locations",
            )


def _python(data: Mapping[str, Any]) -> Iterator[Finding]:
    for name, host in _mappings(data, "hosts"):
        if host.get("docker") != "none" and host.get("python") is not None:
            yield (
                ("hosts", name, "python"),
                "is for bare processes, but this host runs Docker, whose images bring their own; take it out",
            )
    hosts = _mapping(data, "hosts")
    for location, values in _mappings(data, "locations"):
        pool = [_mapping(hosts, name) for name in _list(values, "hosts") if isinstance(name, str)]
        pythons = {str(host.get("python") or PYTHON) for host in pool if host.get("docker") == "none"}
        if len(pythons) > 1:
            yield (
                ("locations", location, "hosts"),
                f"mixes hosts with Python {' and '.join(sorted(pythons))}; use one, or two locations",
            )


def _pools(data: Mapping[str, Any]) -> Iterator[Finding]:
    hosts = _mapping(data, "hosts")
    for location, values in _mappings(data, "locations"):
        pool = [name for name in _list(values, "hosts") if isinstance(name, str)]
        for index, name in enumerate(pool):
            path = ("locations", location, "hosts", index)
            if name not in hosts:
                yield path, _no_host(name, hosts)
            elif name in pool[:index]:
                yield path, f'"{name}" is named twice; keep one'
        known = [name for name in pool if name in hosts]
        bare = [name for name in known if _mapping(hosts, name).get("docker") == "none"]
        if bare and len(bare) < len(known):
            yield (
                ("locations", location, "hosts"),
                f"mixes hosts with Docker and without ({', '.join(bare)}); use one kind, or two locations",
            )
        elif known:
            yield from _packaging(location, values, bare_host=bare[0] if bare else None)


def _packaging(location: str, values: Mapping[str, Any], *, bare_host: str | None) -> Iterator[Finding]:
    here: KeyPath = ("locations", location)
    if bare_host:
        if values.get("image") is not None:
            yield (
                (*here, "image"),
                f'"{bare_host}" has docker: none and runs no image; write requirements: [./{location}]',
            )
        elif not _list(values, "requirements"):
            yield (
                here,
                f'"{bare_host}" has docker: none; say what it installs, requirements: [./{location}]',
            )
    else:
        if values.get("requirements"):
            yield (
                (*here, "requirements"),
                "hosts with Docker install nothing; put the packages into the image",
            )
        if values.get("image") is None:
            yield (
                here,
                f"its hosts run Docker; name an image, such as registry.example.com/{location}:1.0.0",
            )


def _location_code(data: Mapping[str, Any]) -> Iterator[Finding]:
    for name, values in _mappings(data, "locations"):
        has_module, has_file = (values.get(key) is not None for key in ("module", "python_file"))
        if has_module and has_file:
            yield ("locations", name, "python_file"), "module is there too; keep one of them"
        elif not has_module and not has_file:
            yield ("locations", name), f"does not say where its definitions are; write module: {name}.defs"


def _subnets(data: Mapping[str, Any]) -> Iterator[Finding]:
    docker = _mapping(data, "docker")
    subnets = {}
    for key in ("run_subnet", "control_subnet"):
        try:
            subnets[key] = ipaddress.IPv4Network(docker.get(key, _default(Docker, key)))
        except ValueError:
            continue  # the key's own check says so
    if len(subnets) == 2 and subnets["run_subnet"].overlaps(subnets["control_subnet"]):
        key = "control_subnet" if "control_subnet" in docker else "run_subnet"
        yield ("docker", key), f"{subnets[key]} overlaps the other Docker network; choose another"
    for name, host in _mappings(data, "hosts"):
        address = host.get("address")
        for key, subnet in subnets.items():
            if isinstance(address, str) and is_ipv4(address) and ipaddress.IPv4Address(address) in subnet:
                yield (
                    ("hosts", name, "address"),
                    f"{address} lies in docker.{key} ({subnet}); choose another",
                )


def _open_ports(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Ports of ours have keys of their own that say who may use them."""
    web = _mapping(_mapping(data, "control"), "web").get("port", _default(Web, "port"))
    keys: dict[object, str] = {web: "firewall.web says who may use it"}
    if registry := _mapping(data, "registry"):
        keys[registry.get("port", _default(Registry, "port"))] = "firewall.registry says who may use it"
    for _, host in _mappings(data, "hosts"):
        keys[_mapping(host, "ssh").get("port", _default(Ssh, "port"))] = "firewall.ssh says who may use it"
        keys[host.get("docker_port", _default(Host, "docker_port"))] = "firewall.operators opens it"
        keys[_mapping(host, "mesh").get("port", _default(Mesh, "port"))] = (
            "only hosts of the fleet may use it"
        )
    for index, opened in enumerate(_list(_mapping(data, "firewall"), "open")):
        if (
            isinstance(opened, dict)
            and (key := keys.get(opened.get("port")))
            and opened.get("protocol") != "udp"
        ):
            yield ("firewall", "open", index, "port"), f"{opened['port']} is Dagfleet's own; {key}"


def _registry(data: Mapping[str, Any]) -> Iterator[Finding]:
    if data.get("registry") is None and _list(_mapping(data, "firewall"), "registry"):
        yield ("firewall", "registry"), "there is no registry; write registry: {users: secret://NAME}"


def _postgres(data: Mapping[str, Any]) -> Iterator[Finding]:
    postgres = _mapping(data, "postgres")
    if postgres.get("mode", "managed") == "external":
        if postgres.get("url") is None:
            yield ("postgres",), "mode external needs url: secret://NAME"
        if postgres.get("databases"):
            yield ("postgres", "databases"), "Dagfleet makes databases in mode managed only; take this out"
        if data.get("backup") is not None:
            yield ("backup",), "with postgres.mode external its owner backs the server up; take this out"
    elif postgres.get("url") is not None:
        yield ("postgres", "url"), "only mode external has a url; set mode: external, or take this out"


def _acknowledged(data: Mapping[str, Any]) -> Iterator[Finding]:
    for index, number in enumerate(_list(data, "acknowledge")):
        if isinstance(number, int) and not 1 <= number <= latest():
            yield ("acknowledge", index), f"no breaking change has the number {number} yet; take this out"


def _no_host(name: str, hosts: Mapping[str, Any]) -> str:
    return f'no host is named "{name}"; {did_you_mean(name, [key for key in hosts if isinstance(key, str)])}'


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _mappings(data: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in _mapping(data, key).items():
        if isinstance(value, dict):
            yield str(name), value


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _default(model: type[Docker | Host | Mesh | Registry | Ssh | Web], key: str) -> Any:
    return model.model_fields[key].default
