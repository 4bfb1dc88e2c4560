"""Make the release of the practice fleet's process location, and print what the role needs to know of it.

usage: release.py [SUITE]      for the Python of a release of Debian, or of the practice fleet's own
"""

import json
import sys
import tempfile
from pathlib import Path

from dagfleet.fleet import load_fleet
from dagfleet.image import process_release
from dagfleet.paths import bundle

PYTHON = {"": "3.11", "bookworm": "3.11", "trixie": "3.13"}


def main(suite: str = "") -> None:
    """Say in a copy of the practice fleet's file which Python its host has."""
    practice = bundle() / "inventory" / "lab"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "locations").symlink_to(practice / "locations")
        file = Path(folder) / "fleet.yml"
        text = (practice / "fleet.yml").read_text()
        file.write_text(text.replace("docker: none", f'docker: none, python: "{PYTHON[suite]}"'))
        release = process_release(load_fleet(file), "reporting")
    print(json.dumps({"digest": release.digest, "archive": str(release.archive)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
