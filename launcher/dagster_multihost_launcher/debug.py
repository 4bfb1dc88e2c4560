"""What a person wants to know about a run's container when something is wrong with it."""

from collections.abc import Sequence

from dagster_multihost_launcher.health import how_it_ended
from dagster_multihost_launcher.worker import Worker


def describe(worker: Worker | None, last_lines: Sequence[str] = ()) -> str:
    """Return host, image, state, times, the command to look further and the last lines of output."""
    if worker is None:
        return "No Docker host of its location has a container of this run."
    state = worker.state
    facts = [
        f"Container {worker.container_id[:12]} on Docker host {worker.host_name}: {worker.status}",
        f"Image: {_image(worker)}",
        f"Created {worker.created}, started {state.get('StartedAt')}, ended {state.get('FinishedAt')}",
    ]
    if worker.status in ("exited", "dead"):
        facts.append(f"Ended with {how_it_ended(worker)}")
    facts.append(f"On {worker.host_name}: docker inspect {worker.container_id[:12]}")
    if last_lines:
        facts.append(f"Last {len(last_lines)} lines:")
        facts += last_lines
    return "\n".join(facts)


def _image(worker: Worker) -> str:
    """Return the image as the container was made from it, and its id if that says something else."""
    name = str(worker.config.get("Image", "unknown"))
    return name if name == worker.image_id else f"{name} ({worker.image_id})"
