"""Make the release of the practice fleet's process location, and print what the role needs to know of it.

usage: release.py [SUITE]      for the Python of a release of Debian, or of the practice fleet's own
"""

import json
import sys
from pathlib import Path

from dagfleet.fleet import load_fleet
from dagfleet.image import process_release

PYTHON = {"": "3.11", "bookworm": "3.11", "trixie": "3.13"}

if __name__ == "__main__":
    suite = "".join(sys.argv[1:])
    fleet_file = load_fleet(Path(__file__).resolve().parents[3] / "inventory" / "lab" / "fleet.yml")
    release = process_release(fleet_file, "reporting", PYTHON[suite])
    print(json.dumps({"digest": release.digest, "archive": str(release.archive)}))
