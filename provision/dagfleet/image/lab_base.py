"""The practice fleet's base image: Python from the distribution, because no registry may be within reach."""

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dagfleet.image.build import CONTENT_LABEL, has_content
from dagfleet.image.scratch import scratch_folder
from dagfleet.image.uv import run_tool
from dagfleet.paths import bundle, cache

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY, TAG = "dagfleet-lab/python", "1"
REFERENCE = f"{REPOSITORY}:{TAG}"


def ensure(client: "DockerClient") -> str:
    """Make the image when this engine lacks it, or has it by another recipe; return its reference.

    The archive stays in the cache: an engine that was emptied gets the image back in seconds.
    """
    digest = hashlib.sha256(_recipe().read_bytes()).hexdigest()
    if not has_content(client, REFERENCE, digest):
        archive = cache() / "lab" / f"python-{digest[:12]}.tar"
        if not archive.is_file():
            _bootstrap(archive)
        client.api.import_image_from_file(
            str(archive),
            repository=REPOSITORY,
            tag=TAG,
            changes=[f"LABEL {CONTENT_LABEL}={digest}", 'CMD ["python3"]'],
        )
    return REFERENCE


def _recipe() -> Path:
    return bundle() / "images" / "lab-python" / "bootstrap.sh"


def _bootstrap(archive: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        from dagfleet.lab import engine

        engine.install_packages("mmdebstrap")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder() as scratch:
        made = scratch / "base.tar"
        run_tool(["sh", str(_recipe()), str(made)], doing=f"making {REFERENCE} with mmdebstrap")
        for outdated in archive.parent.glob("python-*.tar"):
            outdated.unlink()
        made.rename(archive)
