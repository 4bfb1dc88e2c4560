"""A Docker API client that cannot hang, and whose TLS the process's environment cannot change."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env, version_lt

from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.settings import Host

LOCAL_SOCKET = "unix:///var/run/docker.sock"
SSH = "ssh://"
# A call over SSH has a session of the one connection; sshd admits ten (MaxSessions) unless told otherwise.
_SSH_SESSIONS = 8
_OLDEST_API_VERSION = "1.41"  # Docker 20.10, in Debian 12


class DockerApi(APIClient):
    """The SDK's low-level client with separate limits for connecting and for an answer, in seconds."""

    def __init__(
        self, base_url: str, tls: TLSConfig | bool, *, connect_timeout: float, read_timeout: int
    ) -> None:
        self._connect_timeout = connect_timeout
        self._turns: contextlib.AbstractContextManager[Any] = (
            threading.BoundedSemaphore(_SSH_SESSIONS)
            if base_url.startswith(SSH)
            else contextlib.nullcontext()
        )
        super().__init__(base_url=base_url, version=_OLDEST_API_VERSION, timeout=read_timeout, tls=tls)
        if self.verify is True:  # requests would take the list of its own that comes with certifi
            self.verify = _system_authorities()
        # Else REQUESTS_CA_BUNDLE replaces ca_cert: https://github.com/docker/docker-py/issues/2433
        self.trust_env = False

    def request(self, *arguments: Any, **keywords: Any) -> Any:
        """Make a call; over SSH it may have to wait for its turn."""
        with self._turns:
            return super().request(*arguments, **keywords)

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        # The SDK asks for no time-out at all when it pulls: then ours counts between two progress lines.
        seconds = kwargs.get("timeout") or self.timeout
        return {**kwargs, "timeout": (min(self._connect_timeout, seconds), seconds)}

    def agree_on_version(self) -> None:
        """Ask the daemon once for its API version, and speak the newest that both know.

        The SDK would do so in its constructor, before the environment is out of the way. A proxy that does
        not let the question pass leaves the oldest version.
        """
        with contextlib.suppress(APIError):
            newest = self.version(api_version=False)["ApiVersion"]
            self._version = (
                newest if version_lt(newest, DEFAULT_DOCKER_API_VERSION) else DEFAULT_DOCKER_API_VERSION
            )


def connect(host: Host, *, connect_timeout: float, read_timeout: int) -> DockerApi:
    """Return a client for a host; no connection is made yet, except for ssh:// URLs.

    Raises what the SDK raises when a certificate is missing or SSH fails, and `TimeoutError`.
    """
    base_url, tls = _endpoint(host)

    def build() -> DockerApi:
        return DockerApi(base_url, tls, connect_timeout=connect_timeout, read_timeout=read_timeout)

    if not base_url.startswith(SSH):
        return build()
    client = _within(connect_timeout + read_timeout, build)
    _share_sessions(client)
    _limit_waits(client, connect_timeout)
    return client


def _share_sessions(client: DockerApi) -> None:
    """Let all calls over SSH share what sessions there are.

    The SDK keeps some for each path that it was asked for. A path that is new would cost a process on the
    host, and idle sessions of others would use up what sshd admits.
    """
    adapter: Any = client.get_adapter(client.base_url)
    of_path = adapter.get_connection
    adapter.get_connection = lambda _path, proxies=None: of_path(client.base_url, proxies)


def _limit_waits(client: DockerApi, seconds: float) -> None:
    """Let a call over SSH end where the host does not answer: the SDK waits an hour for a new session."""
    adapter: Any = client.get_adapter(client.base_url)
    transport = adapter.ssh_client.get_transport()
    transport.channel_timeout = seconds
    # What is sent and not acknowledged for so long ends the connection, and every wait on it.
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _endpoint(host: Host) -> tuple[str, TLSConfig | bool]:
    if host.url:
        return host.url, _tls_config(host)
    found = kwargs_from_env()
    base_url, tls = str(found.get("base_url", LOCAL_SOCKET)), found.get("tls", False)
    if base_url.startswith(("tcp://", "http://")) and not tls:
        raise LaunchError(
            f"DOCKER_HOST={base_url} is plain TCP, which is refused because whoever reaches that port is root"
            " there. Set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or name the host in docker_hosts."
        )
    return base_url, tls if isinstance(tls, TLSConfig) else bool(tls)


def _tls_config(host: Host) -> TLSConfig | bool:
    if not host.tls:
        return False
    return TLSConfig(
        client_cert=(host.tls.client_cert, host.tls.client_key),
        ca_cert=host.tls.ca_cert,
        verify=host.tls.verify,
    )


def _system_authorities() -> str | bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _within(seconds: float, build: Callable[[], DockerApi]) -> DockerApi:
    """Run `build` for at most `seconds`: the SDK connects in its constructor for SSH, with no limit."""
    outcome: list[DockerApi | Exception] = []

    def run() -> None:
        try:
            outcome.append(build())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name="docker-ssh-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no SSH connection within {seconds:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]
