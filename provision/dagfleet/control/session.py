"""HTTPS to the web UI: our own authority, nothing from the environment."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from dagfleet.control.login import Login
from dagfleet.errors import DagfleetError

CONNECT_SECONDS = 5
ANSWER_SECONDS = 30


class WebError(DagfleetError):
    """The web UI does not answer as it should."""


@dataclass(frozen=True)
class Endpoint:
    """Where the web UI is: reached by `address`, proved by `hostname` and the authority in `authority`.

    `proof` is the name to prove instead, where people see a certificate of another authority.
    """

    address: str
    port: int
    hostname: str
    authority: Path
    proof: str | None = None

    @property
    def url(self) -> str:
        """Return the URL that people type."""
        return f"https://{self.hostname}" + ("" if self.port == 443 else f":{self.port}")


class _AsHostname(HTTPAdapter):
    """Connects to the address, but greets and verifies the host name: DNS may not know it yet."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"server_hostname": self._hostname, "assert_hostname": self._hostname}
        super().init_poolmanager(*args, **kwargs)


@dataclass
class Session:
    """A logged-in session. `query` is the one thing it does."""

    endpoint: Endpoint
    login: Login | None
    _http: requests.Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = requests.Session()
        # REQUESTS_CA_BUNDLE and proxies in the environment have no say over the fleet's own authority.
        self._http.trust_env = False
        self._http.verify = str(self.endpoint.authority)
        self._http.headers["Host"] = self.endpoint.url.removeprefix("https://")
        self._http.mount("https://", _AsHostname(self.endpoint.proof or self.endpoint.hostname))
        if self.login:
            self._http.auth = (self.login.user, self.login.password)

    def query(self, document: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Send a GraphQL document and return its data; raises WebError."""
        answer = self._post(document, variables or {})
        if answer.status_code == requests.codes.unauthorized:
            whom = f"refused {self.login.user}'s password" if self.login else "wants a login"
            raise WebError(
                f"the web UI at {self.endpoint.url} {whom}",
                fix="see that the secret behind control.web.users is the one last applied, or apply it",
            )
        if answer.status_code != requests.codes.ok:
            raise WebError(
                f"the web UI at {self.endpoint.url} answered {answer.status_code} {answer.reason}",
                fix="it may still be starting; the control host has more: journalctl -u docker, "
                "docker logs dagfleet-web",
            )
        try:
            body = answer.json()
        except requests.JSONDecodeError as error:
            raise WebError(f"{self.endpoint.url} does not answer like Dagster's web server") from error
        if body.get("errors"):
            raise WebError(f"Dagster refused a question: {body['errors'][0].get('message', body['errors'])}")
        data: dict[str, Any] = body["data"]
        return data

    def anonymous_status(self) -> int:
        """Return the HTTP status that a visitor without a login gets."""
        try:
            with self._http.request(
                "GET",
                self._base,
                auth=_no_login,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            ) as answer:
                return answer.status_code
        except requests.RequestException as error:
            raise self._silent(error) from error

    def close(self) -> None:
        """End the session."""
        self._http.close()

    @property
    def _base(self) -> str:
        return f"https://{self.endpoint.address}:{self.endpoint.port}"

    def _post(self, document: str, variables: Mapping[str, object]) -> requests.Response:
        try:
            return self._http.post(
                f"{self._base}/graphql",
                json={"query": document, "variables": dict(variables)},
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            )
        except requests.RequestException as error:
            raise self._silent(error) from error

    def _silent(self, error: requests.RequestException) -> WebError:
        where = f"{self.endpoint.address}:{self.endpoint.port}"
        if isinstance(error, requests.exceptions.SSLError):
            return WebError(
                f"{where} does not prove to be {self.endpoint.hostname}: {_innermost(error)}",
                fix="let the next apply renew its certificate, or see who answers there",
            )
        return WebError(
            f"the web UI at {where} does not answer: {_innermost(error)}",
            fix="see that HAProxy runs on the control host: systemctl status haproxy",
        )


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _innermost(error: BaseException) -> str:
    """Return what the lowest layer said, without the layers around it."""
    seen: set[int] = set()
    current: BaseException = error
    while id(current) not in seen:
        seen.add(id(current))
        inner = getattr(current, "reason", None) or current.__cause__ or current.__context__
        if (
            not isinstance(inner, BaseException)
            and current.args
            and isinstance(current.args[0], BaseException)
        ):
            inner = current.args[0]
        if not isinstance(inner, BaseException):
            break
        current = inner
    match current:
        case ssl.SSLCertVerificationError():
            return current.verify_message
        case socket.timeout() | requests.Timeout():
            return "no answer in time"
        case OSError():
            return current.strerror or str(current)
    return str(current)
