"""Send the control plane's image, or one made of it and a folder, to a machine's Docker; print its reference.

usage: seed.py MACHINE [FOLDER REFERENCE]      seed.py --name
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copytree

from dagfleet.fleet import load_fleet
from dagfleet.image import build_control_plane, control_plane_reference, lab_base
from dagfleet.lab import engine
from dagfleet.paths import bundle


def main(machine: str, folder: str | None = None, reference: str | None = None) -> None:
    """Build what is missing here, then send it in one stream."""
    fleet = load_fleet(bundle() / "inventory/lab/fleet.yml").fleet
    if machine == "--name":
        print(control_plane_reference(fleet))
        return
    client = engine.client()
    lab_base.ensure(client)
    image = build_control_plane(fleet, client)
    if folder and reference:
        with tempfile.TemporaryDirectory() as context:
            copytree(folder, Path(context) / "location")
            (Path(context) / "Dockerfile").write_text(f"FROM {image}\nCOPY location/ /location/\n")
            image = client.images.build(path=context, tag=reference, rm=True)[0].tags[0]
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        load = ["docker", "exec", "--interactive", machine, "docker", "load", "--quiet"]
        subprocess.run(load, stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
    print(reference or image)


if __name__ == "__main__":
    main(*sys.argv[1:])
