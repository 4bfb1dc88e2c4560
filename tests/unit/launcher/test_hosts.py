from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster_multihost_launcher.api import connect
from dagster_multihost_launcher.breaker import Breaker
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError, NoCapacity
from dagster_multihost_launcher.hosts import HostConnection, Hosts
from dagster_multihost_launcher.settings import Host, Settings, Tls

SETTINGS = Settings(connect_timeout=1, read_timeout=1, retry_after_seconds=5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_lets_one_probe_through_and_closes_on_an_answer() -> None:
    clock = Clock()
    breaker = Breaker(5, clock)
    assert breaker.seconds_left() == 0
    breaker.failed("no route")
    assert breaker.seconds_left() == 5
    clock.now = 6
    assert breaker.seconds_left() == 0  # the probe
    assert breaker.seconds_left() > 0  # everybody else
    breaker.answered()
    assert breaker.seconds_left() == 0


def test_a_failed_probe_opens_the_breaker_again() -> None:
    clock = Clock()
    breaker = Breaker(5, clock)
    breaker.failed("no route")
    clock.now = 6
    assert breaker.seconds_left() == 0
    breaker.failed("still no route")
    assert breaker.seconds_left() == 5


def test_a_host_that_refuses_connections_is_unreachable_and_is_then_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connection = HostConnection(Host(name="beta", url=f"tcp://127.0.0.1:{port}", insecure=True), SETTINGS)
    for _ in range(2):
        with (
            pytest.raises(HostUnreachable, match=r"Docker host beta is unreachable: .*refused"),
            connection.api(),
        ):
            pass
    assert connection._client is None


@pytest.fixture
def proxy_without_dockerd() -> Iterator[int]:
    """An HTTP server that answers 503 to everything, as a proxy does whose dockerd is down."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(65536)
            client.sendall(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_a_proxy_whose_dockerd_is_down_means_unreachable(proxy_without_dockerd: int) -> None:
    host = Host(name="beta", url=f"tcp://127.0.0.1:{proxy_without_dockerd}", insecure=True)
    with pytest.raises(HostUnreachable, match="503"), HostConnection(host, SETTINGS).api() as api:
        api.ping()


def test_a_missing_certificate_disables_only_its_own_host() -> None:
    tls = Tls(client_cert="/no/such.crt", client_key="/no/such.key", ca_cert="/no/such.ca")
    host = Host(name="beta", url="tcp://127.0.0.1:2376", tls=tls)
    disabled = pytest.raises(HostUnreachable, match=r"/no/such.crt, /no/such.key, /no/such.ca")
    with disabled, HostConnection(host, SETTINGS).api():
        pass


def test_the_environment_of_the_process_changes_nothing_about_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/other.crt")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/etc/other.crt")
    client = connect(Host(name="b", url="tcp://127.0.0.1:2376"), connect_timeout=1, read_timeout=1)
    client.verify = "/our/ca.crt"
    merged = client.merge_environment_settings("https://127.0.0.1:2376", {}, False, None, None)
    assert merged["verify"] == "/our/ca.crt"


def test_every_call_has_a_time_out_even_where_the_sdk_asks_for_none() -> None:
    client = connect(Host(name="b", url="unix:///nowhere"), connect_timeout=3, read_timeout=10)
    assert client._set_request_timeout({}) == {"timeout": (3, 10)}
    assert client._set_request_timeout({"timeout": None}) == {"timeout": (3, 10)}
    assert client._set_request_timeout({"timeout": 40}) == {"timeout": (3, 40)}


def test_plain_tcp_from_docker_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    with pytest.raises(LaunchError, match=r"DOCKER_HOST=tcp://192.0.2.1:2375 is plain TCP"):
        connect(Host(name="local"), connect_timeout=1, read_timeout=1)


def test_a_host_that_left_the_configuration_is_named() -> None:
    with pytest.raises(LaunchError, match="Docker host beta is not in docker_hosts any more"):
        Hosts(Settings()).named("beta")


@pytest.mark.parametrize(
    "error",
    [HostUnreachable("beta", "no route", retry_after_seconds=7), NoCapacity("full", retry_after_seconds=7)],
)
def test_what_can_wait_is_requeued_by_dagster_and_says_why_and_when(error: HostUnreachable) -> None:
    assert isinstance(error, DagsterUserCodeUnreachableError)
    assert error.retry_after_seconds == 7
    assert error.reason in str(error)


def test_what_cannot_wait_is_not_requeued() -> None:
    assert not issubclass(LaunchError, DagsterUserCodeUnreachableError)
