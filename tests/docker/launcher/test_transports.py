"""Launches over mutual TLS and over SSH, against real servers of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dagfleet.pki import Authorities
from dagster import DagsterInstance
from dagster_multihost_launcher.errors import HostUnreachable
from dagster_multihost_launcher.hosts import HostConnection
from dagster_multihost_launcher.worker import container_name
from docker import APIClient

from tests.docker.launcher.endpoints import (
    SshEndpoint,
    TlsEndpoint,
    serial_shown,
    ssh_endpoint,
    tls_endpoint,
)
from tests.unit.launcher.runs import create_run, launching

Load = Callable[..., DagsterInstance]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEndpoint]:
    with tls_endpoint(tmp_path_factory.mktemp("tls")) as endpoint:
        yield endpoint


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshEndpoint]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with ssh_endpoint(folder) as endpoint:
        monkeypatch.setenv("HOME", str(endpoint.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield endpoint


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that signed nothing here."""
    folder = tmp_path_factory.mktemp("stranger")
    authorities = Authorities.create(folder / "authorities", "stranger", "passphrase", 1)
    (folder / "ca.crt").write_bytes(authorities.certificate("docker"))
    return folder / "ca.crt"


def launched(instance: DagsterInstance, docker: APIClient) -> str:
    run = create_run(instance)
    instance.run_launcher.launch_run(launching(run))
    return str(docker.inspect_container(container_name(run.run_id, 1))["State"]["Status"])


def connection(instance: DagsterInstance) -> HostConnection:
    found: HostConnection = instance.run_launcher.hosts.named("beta")  # type: ignore[attr-defined]
    return found


def serial(instance: DagsterInstance) -> int:
    with connection(instance).api() as api:
        client: Any = api
        return serial_shown(client.get(client._url("/_ping")))


def test_a_run_is_launched_over_mutual_tls(fleet: Load, docker: APIClient, tls: TlsEndpoint) -> None:
    assert launched(fleet(host=tls.host()), docker) == "running"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_variable_that_names_another_authority_does_not_break_tls(
    fleet: Load, tls: TlsEndpoint, stranger: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(stranger))
    assert serial(fleet(host=tls.host()))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_variable_that_names_the_servers_authority_does_not_make_a_wrong_ca_cert_right(
    fleet: Load, tls: TlsEndpoint, stranger: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tls.folder / "ca.crt"))
    with pytest.raises(HostUnreachable, match="certificate verify failed"):
        serial(fleet(host=tls.host(ca_cert=str(stranger))))


def test_without_ca_cert_the_systems_authorities_decide(fleet: Load, tls: TlsEndpoint) -> None:
    with pytest.raises(HostUnreachable, match="certificate verify failed"):
        serial(fleet(host=tls.host(ca_cert=None)))


def test_a_server_whose_certificate_is_for_another_address_is_refused_unless_verify_is_false(
    fleet: Load, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with tls_endpoint(folder, addresses=("192.0.2.1",)) as elsewhere:
        with pytest.raises(HostUnreachable, match=r"127\.0\.0\.1"):
            serial(fleet(host=elsewhere.host()))
        assert serial(fleet(host=elsewhere.host(verify=False)))


def test_a_renewed_certificate_is_shown_at_the_next_call_without_a_restart(
    fleet: Load, docker: APIClient, tls: TlsEndpoint
) -> None:
    instance = fleet(host=tls.host())
    before = serial(instance)
    assert serial(instance) == before
    tls.renew()
    assert serial(instance) != before
    assert launched(instance, docker) == "running"


def test_a_half_written_certificate_costs_a_retry_and_not_a_restart(fleet: Load, tls: TlsEndpoint) -> None:
    instance = fleet(host=tls.host())
    assert serial(instance)
    key = tls.folder / "launcher.pem.key"
    whole = key.read_bytes()
    key.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(HostUnreachable):
        serial(instance)
    key.write_bytes(whole)
    assert eventually(lambda: serial(instance))


def test_a_run_is_launched_over_ssh(fleet: Load, docker: APIClient, ssh: SshEndpoint) -> None:
    assert launched(fleet(host=ssh.host()), docker) == "running"


def test_an_ssh_server_that_is_not_in_known_hosts_is_refused(fleet: Load, ssh: SshEndpoint) -> None:
    (ssh.home / ".ssh" / "known_hosts").write_text("")
    instance = fleet(host=ssh.host())
    with pytest.raises(HostUnreachable, match="not found in known_hosts"), connection(instance).api():
        pass


def test_an_ssh_connection_that_broke_is_opened_again(fleet: Load, ssh: SshEndpoint) -> None:
    instance = fleet(host=ssh.host())

    def ping() -> bool:
        with connection(instance).api() as api:
            return bool(api.ping())

    assert ping()
    ssh.drop_connections()
    assert eventually(ping)


def test_more_calls_at_once_than_sshd_admits_sessions_wait_for_their_turn(
    fleet: Load, ssh: SshEndpoint
) -> None:
    instance = fleet(host=ssh.host())

    def version(_: int) -> str:
        with connection(instance).api() as api:
            return str(api.version()["ApiVersion"])

    assert version(0)
    with ThreadPoolExecutor(24) as pool:
        assert len(list(pool.map(version, range(48)))) == 48


def test_sessions_that_wait_for_another_call_of_their_kind_do_not_keep_others_out(
    fleet: Load, ssh: SshEndpoint
) -> None:
    # The SDK keeps a connection for each path, and as many as were in use at once.
    instance = fleet(host=ssh.host())

    def asked(what: str) -> object:
        with connection(instance).api() as api:
            return getattr(api, what)()

    assert asked("version")
    with ThreadPoolExecutor(24) as pool:
        for what in ("version", "info", "networks", "containers", "version", "volumes"):
            assert len(list(pool.map(asked, [what] * 24))) == 24


def test_calls_for_different_things_share_an_ssh_session(fleet: Load, ssh: SshEndpoint) -> None:
    instance = fleet(host=ssh.host())
    for what in ("version", "info", "networks", "containers", "volumes"):
        with connection(instance).api() as api:
            getattr(api, what)()
    assert ssh.sessions() == 1


def test_an_ssh_host_that_falls_silent_is_given_up_in_seconds(fleet: Load, ssh: SshEndpoint) -> None:
    instance = fleet(host=ssh.host(), read_timeout=3)

    def version() -> object:
        with connection(instance).api() as api:
            return api.version()

    with connection(instance).api() as api:
        # The one session that there is stays in use, so that the next call needs another.
        streaming = api.events(decode=True)  # noqa: F841
    with ssh.silent():
        started = time.monotonic()
        with pytest.raises(HostUnreachable):
            version()
        assert time.monotonic() - started < 15
    assert eventually(version)


def eventually(works: Callable[[], object]) -> object:
    """Try until the host is no longer left alone."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return works()
        except HostUnreachable:
            assert time.monotonic() < deadline
            time.sleep(0.2)
