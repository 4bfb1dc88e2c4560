"""Runs on a host, as root, with Python's standard library alone: answers the questions on standard input.

A question and its answer are JSON objects; an answer has `ok`, `fact`, and `lines` where last words matter.
"""

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 5
LINES = 12
SLOTS = "/etc/dagfleet/slots.map"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS_FRAME = 4
PING = "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
REGISTRY = "GET /v2/ HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n"
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"


def main() -> None:
    """Answer each question in turn."""
    answers = []
    for question in json.load(sys.stdin):
        try:
            answers.append(KINDS[question["kind"]](question))
        except ssl.SSLCertVerificationError as error:
            answers.append({"ok": False, "fact": error.verify_message})
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            answers.append({"ok": False, "fact": "TLS refused: " + reason})
        except (TimeoutError, subprocess.TimeoutExpired):
            answers.append({"ok": False, "fact": f"no answer in {SECONDS} s"})
        except OSError as error:
            answers.append({"ok": False, "fact": (error.strerror or str(error)).lower()})
    json.dump(answers, sys.stdout)


def listens(question: dict[str, Any]) -> dict[str, Any]:
    """Tell whether anybody accepts connections; one that is ended at once was accepted."""
    with contextlib.suppress(ConnectionResetError):
        plain(question).close()
    return {"ok": True, "fact": ""}


def answers_tls(question: dict[str, Any]) -> dict[str, Any]:
    """Shake hands with a certificate of ours; TLS 1.3 tells only afterwards whether it was accepted."""
    with tls(question) as connection:
        connection.settimeout(0.3)
        try:
            refused = connection.recv(1) == b""
        except TimeoutError:
            refused = False
        until = str((connection.getpeercert() or {}).get("notAfter"))
        left = ssl.cert_time_to_seconds(until) - time.time()
        if refused:
            return {"ok": True, "fact": "mutual TLS, then the connection ended"}
        return {"ok": True, "fact": f"mutual TLS, its certificate has {left // 86400:.0f} days left"}


def answers_grpc(question: dict[str, Any]) -> dict[str, Any]:
    """Say HTTP/2's first words; a code server answers with its settings."""
    with tls(question) as connection:
        connection.sendall(PREFACE)
        words = connection.recv(9)
    if len(words) > 3 and words[3] == SETTINGS_FRAME:
        return {"ok": True, "fact": "a code server answers"}
    return {"ok": False, "fact": "the mesh has nobody to pass it on to"}


def answers_docker(question: dict[str, Any]) -> dict[str, Any]:
    """Ask dockerd whether it is there."""
    with tls(question) as connection:
        connection.sendall(PING.encode())
        status = connection.recv(64).split(b"\r\n")[0].decode(errors="replace")
    return {"ok": " 200 " in status, "fact": "dockerd answers" if " 200 " in status else status or "cut off"}


def answers_registry(question: dict[str, Any]) -> dict[str, Any]:
    """Ask the registry whether this host may pull."""
    with tls(question) as connection:
        connection.sendall(REGISTRY.encode())
        status = connection.recv(64).split(b"\r\n")[0].decode(errors="replace")
    return {"ok": " 200 " in status, "fact": "it may pull" if " 200 " in status else status or "cut off"}


def answers_docker_over_ssh(question: dict[str, Any]) -> dict[str, Any]:
    """Ask dockerd the same as the launcher does, by its account and its key."""
    asked = run(
        *("ssh", "-i", question["files"] + "/id_ed25519", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={question['files']}/known_hosts"),
        *("-o", f"ConnectTimeout={SECONDS}", "-o", "LogLevel=ERROR"),
        *("-p", str(question["port"]), "-l", question["account"], question["address"]),
        "docker system dial-stdio",
        words=PING,
    )
    status = asked.stdout.splitlines()[:1]
    if status and " 200 " in status[0]:
        return {"ok": True, "fact": "dockerd answers"}
    said = [line for line in (*status, *asked.stderr.splitlines()) if line.strip()]
    return {"ok": False, "fact": said[-1] if said else "cut off"}


def answers_sql(question: dict[str, Any]) -> dict[str, Any]:
    """Ask for TLS in PostgreSQL's protocol: any answer is a server's."""
    with plain(question) as connection:
        return sql(connection)


def answers_sql_over_tls(question: dict[str, Any]) -> dict[str, Any]:
    """Do the same through the mesh."""
    with tls(question) as connection:
        return sql(connection)


def sql(connection: socket.socket) -> dict[str, Any]:
    """Return whether a PostgreSQL server speaks there."""
    connection.sendall(SSL_REQUEST)
    word = connection.recv(1)
    return {
        "ok": word in (b"N", b"S"),
        "fact": "it answers" if word else "the mesh has nobody to pass it on to",
    }


def answers_http(question: dict[str, Any]) -> dict[str, Any]:
    """Ask for a page."""
    connection = http.client.HTTPConnection(question["address"], question["port"], timeout=SECONDS)
    connection.request("GET", question["path"])
    status = connection.getresponse().status
    return {"ok": status == 200, "fact": f"it answers {status}"}


def container(question: dict[str, Any]) -> dict[str, Any]:
    """Look at a container, and at its last words if it does not run."""
    found = run("docker", "inspect", "--format", "{{json .State}}", question["name"])
    if found.returncode:
        words = (found.stderr.strip() or "docker said nothing").splitlines()[-1]
        return {"ok": False, "fact": "there is none" if "No such" in words else words}
    state = json.loads(found.stdout)
    if state["Running"] and not state.get("Restarting"):
        return {"ok": True, "fact": "it runs"}
    fact = f"{state['Status']}, exit code {state['ExitCode']}"
    said = run("docker", "logs", "--tail", str(LINES), question["name"])
    return {"ok": False, "fact": fact, "lines": (said.stdout + said.stderr).splitlines()[-LINES:]}


def unit(question: dict[str, Any]) -> dict[str, Any]:
    """Look at a systemd unit, and at its last words if it is not active."""
    name = question["name"]
    if "location" in question:
        name = name.replace("SLOT", slot(question["location"]))
    listed = run("systemctl", "list-units", "--all", "--plain", "--no-legend", name).stdout.split()
    state = listed[2] if len(listed) > 3 else "not there"
    if state == "active":
        return {"ok": True, "fact": "it runs"}
    said = run("journalctl", "--no-pager", "--output", "cat", "--lines", str(LINES), "--unit", name)
    return {"ok": False, "fact": "the unit is " + state, "lines": said.stdout.splitlines()[-LINES:]}


def slot(location: str) -> str:
    """Return which of a location's two code servers serves."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in Path(SLOTS).read_text(encoding="utf-8").splitlines()]
        return next((words[1] for words in lines if words[:1] == [location]), "blue")
    return "blue"


def plain(question: dict[str, Any]) -> socket.socket:
    """Connect."""
    return socket.create_connection((question["address"], question["port"]), timeout=SECONDS)


def tls(question: dict[str, Any]) -> ssl.SSLSocket:
    """Connect as somebody, to somebody in particular."""
    context = ssl.create_default_context(cafile=question["authority"])
    context.load_cert_chain(question["certificate"], question["certificate"] + ".key")
    if question.get("protocol"):
        context.set_alpn_protocols([question["protocol"]])
    return context.wrap_socket(plain(question), server_hostname=question["name"])


def run(*command: str, words: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command of the host's, and tell it `words`; it must not outlast the question."""
    return subprocess.run(
        command,
        input=words,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=SECONDS * 2,
    )


KINDS = {
    "listens": listens,
    "tls": answers_tls,
    "grpc": answers_grpc,
    "docker": answers_docker,
    "docker-ssh": answers_docker_over_ssh,
    "registry": answers_registry,
    "sql": answers_sql,
    "tls-sql": answers_sql_over_tls,
    "http": answers_http,
    "container": container,
    "unit": unit,
}

if __name__ == "__main__":
    main()
