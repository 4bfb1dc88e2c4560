"""Code servers as Docker containers. The one that serves is dagfleet-location-NAME, whichever its slot."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import Any

from code_servers.host import LIBRARY, SECRETS, Failed, Specification, run, secrets_written
from code_servers.server import Server, label
from code_servers.slots import port_of

PORT = 4000
LOG_LINES = "30"
# The Python that `dagster` runs with is not always the one named python.
IN_ITS_PYTHON = """
python=$(sed -n "1s/^#! *//p" "$(command -v dagster)" | grep python) || python=python3
exec $python -c "$1"
"""
IMPORT_COMPUTE_LOGS = "import dagster_multihost_launcher.compute_logs"


class Containers:
    """What `docker` does for locations."""

    made_of = ("arguments", "environment", "extra_hosts", "image", "launcher", "network", "port")
    version_key = "image"
    # Their runs are containers of their own.
    patience = 60.0

    def servers(self, location: str) -> list[Server]:
        """Return a location's containers."""
        wanted = "ps", "--all", "--quiet", "--no-trunc", "--filter", "label=dagfleet.location=" + location
        while found := docker(*wanted).split():
            try:
                return [_server(each) for each in json.loads(docker("inspect", *found))]
            except Failed:
                # One that lingered may have gone in between.
                if docker(*wanted).split() == found:
                    raise
        return []

    def version(self, location: str, reference: str) -> str:
        """Return the id of an image that is on this host, or an empty text."""
        del location
        try:
            return docker("image", "inspect", "--format", "{{.Id}}", reference)
        except Failed:
            return ""

    def require(self, location: str, specification: Specification) -> None:
        """Pull the image unless it is here."""
        image = specification["image"]
        if self.version(location, image):
            return
        if not specification["pull"]:
            raise Failed(
                f"Image {image} of location {location} is not on this host; send it: dagfleet image push"
            )
        docker("pull", "--quiet", image)

    def hold(self, location: str, reference: str, version: str) -> None:
        """Give the image with this id its name back, should another have it now."""
        if self.version(location, reference) == version:
            return
        if not self.version(location, version):
            raise Failed(
                f"{reference} stands for another image now than it did when it served {location}, and this "
                f"host has not kept that one ({version})"
            )
        docker("tag", version, reference)

    def start(self, location: str, specification: Specification, slot: str) -> Server:
        """Run a container named dagfleet-location-NAME-next."""
        name = _named(location) + "-next"
        with contextlib.suppress(Failed):
            docker("rm", "--force", name)
        try:
            docker(*_run(location, specification, name, slot))
        except Failed:
            # Docker leaves one that it has made and could not start.
            with contextlib.suppress(Failed):
                docker("rm", "--force", name)
            raise
        return next(each for each in self.servers(location) if each.name == name)

    def stumbled(self, server: Server) -> bool:
        """Tell whether the container has ended, or Docker has started it again."""
        return docker("inspect", "--format", "{{.State.Status}} {{.RestartCount}}", server.id) != "running 0"

    def check(self, location: str, server: Server, specification: Specification) -> None:
        """Raise Failed when the image cannot store compute logs in PostgreSQL."""
        if not specification["launcher"]:
            return
        try:
            wrapped = "/run/dagfleet/with-secrets", "sh", "-c", IN_ITS_PYTHON, "sh"
            docker("exec", server.id, *wrapped, IMPORT_COMPUTE_LOGS)
        except Failed as failed:
            reason = (str(failed).splitlines() or [""])[-1]
            raise Failed(
                f"The image of {location} cannot store compute logs: {reason}. It needs dagster-postgres and "
                "the fleet's Dagster; or set compute_logs: {store: local} in fleet.yml."
            ) from failed

    def promote(self, location: str, server: Server) -> None:
        """Name it after the location. Docker starts whatever is not stopped at boot."""
        name = _named(location)
        if server.name == name:
            return
        if server.name == name + "-previous":
            docker("rename", server.id, name + "-next")
        for other in self.servers(location):
            if other.id != server.id and other.name == name:
                docker("rename", other.id, name + "-previous")
        docker("rename", server.id, name)
        server.name = name

    def last_lines(self, server: Server) -> str:
        """Return what the container printed last."""
        return docker("logs", "--tail", LOG_LINES, server.id)

    def leave_down(self, server: Server) -> None:
        """Have Docker not start it again."""
        docker("update", "--restart=no", server.id)

    def ended(self, server: Server) -> bool:
        """Tell whether the container does not run any more."""
        try:
            return docker("inspect", "--format", "{{.State.Running}}", server.id) != "true"
        except Failed:
            return True

    def remove(self, server: Server) -> None:
        """Stop it if it runs still, and remove it."""
        with contextlib.suppress(Failed):
            if server.served:
                docker("stop", "--time", "10", server.id)
        with contextlib.suppress(Failed):
            docker("rm", "--force", server.id)

    def discard(self, location: str, reference: str, version: str) -> None:
        """Remove an image: by its name, or by its id where the name is another's now."""
        del location
        docker("image", "rm", reference if self.version("", reference) in (version, "") else version)


def docker(*arguments: str, timeout: float | None = None) -> str:
    """Return what a docker command prints on either stream; raise Failed with it."""
    return run("docker", *arguments, timeout=timeout)


def fetch(image: str, seconds: int) -> str:
    """Have an image here, pulled within these seconds, and return its id."""
    kind = Containers()
    if not kind.version("", image):
        try:
            docker("pull", "--quiet", image, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"Pulling {image} took longer than {seconds} seconds") from None
    return kind.version("", image)


def _named(location: str) -> str:
    return "dagfleet-location-" + location


def _server(described: dict[str, Any]) -> Server:
    labels, host = described["Config"]["Labels"], described["HostConfig"]
    published = host["PortBindings"].get(f"{PORT}/tcp") or [{"HostPort": "0"}]
    name, state = described["Name"].lstrip("/"), described["State"]["Status"]
    return Server(
        name=name,
        id=described["Id"],
        slot=labels.get("dagfleet.slot", "blue"),
        port=int(published[0]["HostPort"]),
        version=described["Image"],
        label=labels.get("dagfleet.specification", ""),
        environment=labels.get("dagfleet.environment", ""),
        state=state,
        running=state == "running",
        served=not name.endswith("-next"),
        ending=host["RestartPolicy"]["Name"] == "no",
    )


def _run(location: str, specification: Specification, container: str, slot: str) -> list[str]:
    """Return the arguments of `docker run`."""
    mounts = {SECRETS / location: "location", LIBRARY / "with-secrets": "with-secrets"}
    if specification["launcher"]:
        mounts[LIBRARY / "launcher.whl"] = "launcher.whl"
    environment = {"DAGSTER_CURRENT_IMAGE": specification["image"], **specification["environment"]}
    labels = {
        "dagfleet.location": location,
        "dagfleet.slot": slot,
        "dagfleet.specification": label(Containers(), specification),
        "dagfleet.environment": secrets_written(location),
    }
    return [
        "run", "--detach", "--pull=never", "--name", container, "--restart=unless-stopped",
        # Runs that a code server starts itself leave no zombies behind.
        "--init",
        "--network", specification["network"],
        *_options("--add-host", ":", specification["extra_hosts"]),
        "--publish", f"127.0.0.1:{port_of(specification, slot)}:{PORT}",
        *[f"--volume={path}:/run/dagfleet/{name}:ro" for path, name in mounts.items()],
        *_options("--env", "=", environment),
        *_options("--label", "=", labels),
        "--entrypoint", "/run/dagfleet/with-secrets", specification["image"],
        "dagster", "api", "grpc", "-h", "0.0.0.0", "-p", str(PORT), *specification["arguments"],  # noqa: S104
    ]  # fmt: skip


def _options(flag: str, between: str, values: dict[str, str]) -> list[str]:
    """Return a flag for each of the values."""
    return [part for name, value in sorted(values.items()) for part in (flag, name + between + value)]
