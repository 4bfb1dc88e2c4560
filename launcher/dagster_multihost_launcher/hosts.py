"""The connections to the Docker hosts: opened on first use, each with its own breaker, closed together."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import requests
import urllib3
from docker.errors import APIError, DockerException, TLSParameterError
from paramiko import SSHException

from dagster_multihost_launcher.api import DockerApi, connect
from dagster_multihost_launcher.breaker import Breaker
from dagster_multihost_launcher.errors import HostUnreachable, LaunchError
from dagster_multihost_launcher.metrics import Metrics
from dagster_multihost_launcher.pulling import Images
from dagster_multihost_launcher.settings import Host, Settings

_PROXY_CANNOT_REACH_DOCKERD = frozenset({502, 503, 504})
_PULL_SILENCE = 60  # seconds without a progress line; extracting a big layer is silent for a while
_ON_THE_WAY = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    DockerException,
    SSHException,
    OSError,
    EOFError,
)


Stamps = tuple[tuple[int, int, int] | None, ...]


class HostConnection:
    """One Docker host and the client for it."""

    def __init__(self, host: Host, settings: Settings, metrics: Metrics | None = None) -> None:
        self.host = host
        self.metrics = metrics or Metrics()
        self.images = Images(self)
        self._settings = settings
        self._breaker = Breaker(settings.retry_after_seconds)
        self._lock = threading.Lock()
        self._client: DockerApi | None = None
        self._stamps: Stamps = ()

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    @property
    def breaker_state(self) -> str:
        """Whether calls pass: closed, open or half-open."""
        return self._breaker.state

    @contextlib.contextmanager
    def api(self) -> Iterator[DockerApi]:
        """Yield the client; what fails on the way to Docker comes out as `HostUnreachable`.

        Docker's own refusals stay `docker.errors.APIError`.
        """
        left = self._breaker.seconds_left()
        if left:
            raise HostUnreachable(self.name, self._breaker.fact, retry_after_seconds=left)
        with self.api_now() as client:
            yield client

    @contextlib.contextmanager
    def api_now(self) -> Iterator[DockerApi]:
        """Yield the client even if the host did not answer a moment ago: for cleaning up after that."""
        try:
            yield self._opened()
        except APIError as error:
            if error.status_code not in _PROXY_CANNOT_REACH_DOCKERD:
                self._breaker.answered()
                raise
            raise self._unreachable(f"{error.status_code} {error.explanation or error}") from error
        except _ON_THE_WAY as error:
            if isinstance(error, TLSParameterError):
                raise self._unreachable(f"{error} ({self._certificates()})") from error
            raise self._unreachable(_cause(error)) from error
        except HostUnreachable:
            raise
        except BaseException:
            self._breaker.answered()
            raise
        else:
            self._breaker.answered()

    @contextlib.contextmanager
    def api_for_pull(self) -> Iterator[DockerApi]:
        """Yield a client of its own that is patient between two lines of progress."""
        try:
            client = self._connected(read_timeout=_PULL_SILENCE)
            try:
                yield client
            finally:
                client.close()
        except APIError:
            raise
        except _ON_THE_WAY as error:
            raise self._unreachable(_cause(error)) from error

    def close(self) -> None:
        """Close the client if there is one; the next use opens another."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _opened(self) -> DockerApi:
        with self._lock:
            stamps = _stamps(self.host)
            if self._client and stamps != self._stamps:
                # Renewed certificates: calls under way end on their connections, new ones use the new files.
                self._client.close()
                self._client = None
            if self._client is None:
                self._client = self._connected(read_timeout=self._settings.read_timeout)
                self._stamps = stamps
            return self._client

    def _connected(self, *, read_timeout: int) -> DockerApi:
        client = connect(self.host, connect_timeout=self._settings.connect_timeout, read_timeout=read_timeout)
        try:
            client.agree_on_version()
        except BaseException:
            client.close()
            raise
        return client

    def _unreachable(self, fact: str) -> HostUnreachable:
        if (self.host.url or "").startswith("ssh://"):
            self.close()  # the SDK never connects a broken SSH session again
        self._breaker.failed(fact)
        return HostUnreachable(self.name, fact, retry_after_seconds=self._settings.retry_after_seconds)

    def _certificates(self) -> str:
        tls = self.host.tls
        return f"{tls.client_cert}, {tls.client_key}, {tls.ca_cert or 'no ca_cert'}" if tls else "no tls"


class Hosts:
    """All hosts of the configuration, by name."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self._connections = {
            host.name: HostConnection(host, settings, metrics) for host in settings.all_hosts
        }

    def __iter__(self) -> Iterator[HostConnection]:
        """Iterate in the order of the configuration."""
        return iter(self._connections.values())

    def named(self, name: str) -> HostConnection:
        """Return a host; raise `LaunchError` if the configuration no longer has it."""
        if name not in self._connections:
            raise LaunchError(
                f"Docker host {name} is not in docker_hosts any more, though a run is recorded there."
                " Put it back until its runs are finished."
            )
        return self._connections[name]

    def close(self) -> None:
        """Close every client."""
        for connection in self:
            connection.close()


def _stamps(host: Host) -> Stamps:
    """Return what changes when a file of the host's certificates is replaced or rewritten."""
    if not host.tls:
        return ()
    return tuple(
        _stamp(path) for path in (host.tls.ca_cert, host.tls.client_cert, host.tls.client_key) if path
    )


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _cause(error: BaseException) -> str:
    """Return the innermost reason, which urllib3 wraps several times."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) or type(error).__name__
