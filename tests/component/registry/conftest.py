"""A control host's registry on loopback: real HAProxy and docker-registry, from the roles' own templates."""

import base64
import grp
import hashlib
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography import x509
from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
HOSTNAME = "images.test"
LOGIN = "ci:correct horse"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Shop:
    """The registry as other machines see it."""

    folder: Path
    port: int
    behind: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        *,
        leaf: str | None = None,
        login: str | None = None,
        body: bytes = b"",
        **headers: str,
    ) -> Answer:
        """Send a request, as whoever has `leaf` and knows `login`; raises ssl.SSLError where TLS refuses."""
        context = ssl.create_default_context(cafile=str(self.folder / "ours" / "mesh-ca.crt"))
        context.check_hostname = False
        if leaf:
            context.load_cert_chain(self.folder / f"{leaf}.pem", self.folder / f"{leaf}.pem.key")
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        connection = HTTPSConnection("127.0.0.1", self.port, context=context, timeout=40)
        try:
            connection.request(
                method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = connection.getresponse()
            # HAProxy writes their names in small letters.
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def push(self, name: str, tag: str, content: bytes) -> str:
        """Push an image of one layer as `docker push` does; return its digest."""
        layer, settings = self._blob(name, content), self._blob(name, b'{"config": {}}')
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **settings},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layer}],
        }
        answer = self.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", login=LOGIN,
            body=json.dumps(manifest).encode(), Content_Type=MANIFEST,
        )  # fmt: skip
        assert answer.status == 201, answer
        return answer.headers["docker-content-digest"]

    def _blob(self, name: str, content: bytes) -> dict[str, Any]:
        begun = self.ask("POST", f"/v2/{name}/blobs/uploads/", login=LOGIN)
        assert begun.status == 202, begun
        where = begun.headers["location"]
        digest = digest_of(content)
        # The registry says where to go on by the name that it was asked by.
        assert where.startswith(f"https://127.0.0.1:{self.port}/v2/{name}/blobs/uploads/"), where
        path = where.partition(str(self.port))[2]
        done = self.ask("PUT", f"{path}&digest={digest}", login=LOGIN, body=content)
        assert done.status == 201, done
        return {"digest": digest, "size": len(content)}

    def logged(self, last: str) -> list[str]:
        """Return HAProxy's log once it has a line with `last`: it writes a moment after it answers."""
        deadline = time.monotonic() + 20
        while last not in (log := (self.folder / "alpha.log").read_text()):
            assert time.monotonic() < deadline, log
            time.sleep(0.05)
        return log.splitlines()

    @contextmanager
    def restarted(self, **environment: str) -> Iterator[None]:
        """Run the registry with more in its environment for a while."""
        self.stop()
        self.start(**environment)
        try:
            yield
        finally:
            self.stop()
            self.start()

    def start(self, **environment: str) -> None:
        """Start docker-registry as its unit does."""
        with (self.folder / "registry.log").open("ab") as log:
            self.processes["registry"] = subprocess.Popen(
                ["docker-registry", "serve", str(self.folder / "registry.yml")],
                stdout=log, stderr=log, start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        wait_for(self.behind)

    def stop(self) -> None:
        """Stop docker-registry."""
        process = self.processes.pop("registry")
        process.terminate()
        process.wait(timeout=40)

    def while_collecting(self) -> dict[str, str]:
        """What the unit has in its environment while garbage is collected."""
        lines = (self.folder / "registry.environment").read_text().splitlines()
        return dict(shlex.split(line)[0].split("=", 1) for line in lines if line and not line.startswith("#"))


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("registry")
    port, behind = _free_ports(2)
    shop = Shop(folder, port, behind)
    _make_certificates(folder)
    _render(shop)
    try:
        shop.start()
        files = [text for name in ("haproxy", "users") for text in ("-f", str(folder / f"{name}.cfg"))]
        with (folder / "alpha.log").open("wb") as log:
            shop.processes["haproxy"] = subprocess.Popen(
                ["haproxy", "-db", *files], stderr=log, start_new_session=True
            )
        wait_for(port)
        yield shop
    finally:
        for process in shop.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


def wait_for(port: int) -> None:
    """Return once somebody listens there."""
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nobody listens on {port}"
        time.sleep(0.05)


def _make_certificates(folder: Path) -> None:
    """Make leaves of our authorities and of others of the same name; revoke one of ours."""
    for whose in ("ours", "theirs"):
        (folder / whose).mkdir()
        authorities = Authorities.create(folder / f"{whose}-authorities", "component", "passphrase", 1)
        _issue(authorities, folder / whose, "registry", HOSTNAME, usage="server")
        _issue(authorities, folder / whose, "mesh-server", "beta", usage="server")
        for name in ("beta", "delta", "gateway"):
            _issue(authorities, folder / whose, name, name)
        _issue(authorities, folder / whose, "launcher", "launcher", authority="docker")
        revoked = _issue(authorities, folder / whose, "revoked", "beta")
        authorities.revoke("mesh", [x509.load_pem_x509_certificate(revoked).serial_number])
        (folder / whose / "mesh-ca.crt").write_bytes(authorities.certificate("mesh"))
        shutil.copy(authorities.directory / "mesh" / "ca.crl", folder / whose / "mesh-ca.crl")
        # The mesh's own port, which nobody asks here.
        for server in ("docker-server", "web"):
            _issue(authorities, folder / whose, server, "alpha", usage="server")


def _issue(
    authorities: Authorities,
    folder: Path,
    name: str,
    identity: str,
    *,
    authority: Literal["docker", "mesh"] = "mesh",
    usage: Literal["server", "client"] = "client",
) -> bytes:
    spec = CertificateSpec(
        name=name,
        host=None,
        authority=authority,
        common_name=identity,
        dns_names=(identity,) if usage == "server" else (),
        usage=usage,
    )
    key, certificate = authorities.issue(spec, 30)
    (folder / f"{name}.pem").write_bytes(certificate)
    (folder / f"{name}.pem.key").write_bytes(key)
    return certificate


def _render(shop: Shop) -> None:
    folder = shop.folder
    mesh = {
        "mesh_certificates": [],
        "mesh_user": pwd.getpwuid(os.getuid()).pw_name,
        "mesh_group": grp.getgrgid(os.getgid()).gr_name,
        "mesh_chroot": "",
        "mesh_maxconn": 200,
        "mesh_listen": "127.0.0.1",
        "mesh_port": _free_ports(1)[0],
        "mesh_directory": str(folder / "ours"),
        "mesh_admin_socket": str(folder / "alpha.sock"),
        "mesh_registry": {
            "port": shop.port,
            "hostname": HOSTNAME,
            # Delta runs no Docker.
            "hosts": ["alpha", "beta"],
            "upstream": f"127.0.0.1:{shop.behind}",
        },
        "mesh_registry_users": f"# who pushes\n{LOGIN}",
    }
    registry = {"registry_port": shop.behind, "registry_directory": str(folder / "images")}
    (folder / "alpha.json").write_text(json.dumps(mesh | registry))
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"alpha": None}}}))
    subprocess.run(
        [sys.executable, "-m", "ansible", "playbook",
         "-i", str(inventory), "-e", json.dumps({"directory": str(folder)}), str(HERE / "render.yml")],
        cwd=ROOT, check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def digest_of(content: bytes) -> str:
    """Return the name of a layer."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
