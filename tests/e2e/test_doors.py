"""Who gets in, and who does not: asked from outside, with the certificates that an attacker could have."""

import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
import requests
from docker.errors import APIError
from docker.tls import TLSConfig

from tests.component.mesh.smuggling import attacks
from tests.e2e.deployed import IMAGE, DeployedFleet


def docker_api(fleet: DeployedFleet, host: str, certificate: tuple[str, str] | None) -> docker.APIClient:
    tls = TLSConfig(
        client_cert=certificate, ca_cert=str(fleet.operator.state / "pki" / "docker" / "ca.crt"), verify=True
    )
    client = docker.APIClient(
        base_url=f"tcp://{fleet.ADDRESSES[host]}:2376", tls=tls, version="1.41", timeout=20
    )
    client.trust_env = False
    return client


def operator_leaf(fleet: DeployedFleet, name: str) -> tuple[str, str]:
    folder = fleet.operator.state / "pki" / "operator"
    return str(folder / f"{name}.crt"), str(folder / f"{name}.key")


def stranger(folder: Path, common_name: str) -> tuple[str, str]:
    """A certificate that names an identity of ours but comes from another authority."""
    certificate, key = folder / "stranger.crt", folder / "stranger.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "1", "-subj", f"/CN={common_name}", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)


@pytest.mark.parametrize("host", ["alpha", "beta", "gamma"])
def test_without_a_client_certificate_creating_a_container_is_refused(
    fleet: DeployedFleet, host: str
) -> None:
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        docker_api(fleet, host, None).create_container(IMAGE, ["true"])


def test_with_a_certificate_of_another_authority_it_is_refused(fleet: DeployedFleet, tmp_path: Path) -> None:
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        docker_api(fleet, "beta", stranger(tmp_path, "launcher")).create_container(IMAGE, ["true"])


def test_reader_may_look_but_not_create(fleet: DeployedFleet) -> None:
    reader = docker_api(fleet, "beta", operator_leaf(fleet, "reader"))
    assert reader.containers(all=True) is not None
    with pytest.raises(APIError) as refused:
        reader.create_container(IMAGE, ["true"])
    assert refused.value.status_code == 403


def test_launcher_creates_and_removes_a_container(fleet: DeployedFleet) -> None:
    launcher = docker_api(fleet, "beta", operator_leaf(fleet, "launcher"))
    created = launcher.create_container(IMAGE, ["true"])
    launcher.remove_container(created["Id"])


def test_launcher_may_not_execute_inside_a_container(fleet: DeployedFleet) -> None:
    launcher = docker_api(fleet, "beta", operator_leaf(fleet, "launcher"))
    with pytest.raises(APIError) as refused:
        launcher.exec_create("dagfleet-location-etl", ["id"])
    assert refused.value.status_code == 403


def test_nothing_that_hides_in_a_request_reaches_a_real_dockerd(fleet: DeployedFleet) -> None:
    certificate, key = operator_leaf(fleet, "launcher")
    context = ssl.create_default_context(cafile=str(fleet.operator.state / "pki" / "docker" / "ca.crt"))
    context.load_cert_chain(certificate, key)
    since = fleet.sh("beta", "date +%s").strip()

    def answered(request: bytes) -> bytes:
        """Everything that comes back, until nothing more does."""
        address, told = fleet.ADDRESSES["beta"], b""
        with (
            socket.create_connection((address, 2376), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=address) as connection,
        ):
            connection.sendall(request)
            connection.settimeout(4)
            try:
                while more := connection.recv(65536):
                    told += more
            except OSError:
                pass
        return told.lower()

    tried = attacks()
    with ThreadPoolExecutor(len(tried)) as pool:
        answers = dict(zip(tried, pool.map(lambda attack: answered(attack[1]), tried.values()), strict=True))
    assert any(b"api-version" in answer for answer in answers.values()), "dockerd answered nothing at all"
    assert [name for name, answer in answers.items() if answer.count(b"api-version") > 1] == []
    logged = fleet.sh("beta", f"journalctl -u haproxy --since @{since} -o cat | grep smuggled-").splitlines()
    passed = [line for line in logged if " 403 " not in line]
    assert passed
    assert [line for line in passed if "/exec" in line] == []


def test_only_the_doors_are_open_to_the_outside(fleet: DeployedFleet) -> None:
    """Every TCP listener of every host is tried from this machine, which is no host of the fleet."""
    doors = {"alpha": {22, 443, 2376}, "beta": {22, 2376}, "gamma": {22, 2376}, "delta": {22}}
    for host, address in fleet.ADDRESSES.items():
        listening = {
            int(line.split()[3].rpartition(":")[2])
            for line in fleet.sh(host, "ss -Hltn").splitlines()
            if line.strip()
        }
        assert listening >= doors[host]
        reached = set()
        for port in listening | {5432, 6432, 3000, 4443}:
            try:
                socket.create_connection((address, port), timeout=1.5).close()
                reached.add(port)
            except OSError:
                continue
        assert reached == doors[host], host


def test_mesh_refuses_a_host_that_is_not_the_gateway(fleet: DeployedFleet) -> None:
    """Gamma's own certificate does not open beta's code server; the gateway's, on alpha, does."""
    beta = fleet.ADDRESSES["beta"]
    preface = "printf 'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\000\\000\\000\\004\\000\\000\\000\\000\\000'"

    def answers(host: str, leaf: str) -> bool:
        script = (
            f"{{ {preface}; sleep 1; }} | timeout 5 openssl s_client -quiet -connect {beta}:4443 "
            f"-servername etl.grpc.dagfleet -alpn h2 -cert /etc/dagfleet/pki/{leaf}.pem "
            f"-key /etc/dagfleet/pki/{leaf}.pem.key -CAfile /etc/dagfleet/pki/mesh-ca.crt 2>/dev/null | wc -c"
        )
        return int(fleet.sh(host, script)) > 0

    assert answers("alpha", "gateway")
    assert not answers("gamma", "mesh-client")


def test_the_web_ui_refuses_an_anonymous_request(fleet: DeployedFleet) -> None:
    authority = str(fleet.operator.state / "pki" / "mesh" / "ca.crt")
    session = requests.Session()
    session.trust_env = False
    base = f"https://{fleet.ADDRESSES['alpha']}"
    for path in ("/", "/graphql", "/server_info"):
        assert session.get(base + path, verify=authority, timeout=10).status_code == 401
    assert (
        session.get(base + "/server_info", auth=fleet.password(), verify=authority, timeout=10).status_code
        == 200
    )
    assert session.get(base, auth=("demo", "wrong"), verify=authority, timeout=10).status_code == 401


def test_the_web_ui_speaks_no_plain_http(fleet: DeployedFleet) -> None:
    with socket.create_connection((fleet.ADDRESSES["alpha"], 443), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: alpha\r\n\r\n")
        assert b"200" not in connection.recv(100)


def test_old_tls_is_refused(fleet: DeployedFleet) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    for host, port in (("beta", 2376), ("alpha", 443)):
        connection = socket.create_connection((fleet.ADDRESSES[host], port), timeout=5)
        with connection, pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(connection)
