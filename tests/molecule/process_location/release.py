"""Make the release of the practice fleet's process location, and print what the role needs to know of it."""

import json
from pathlib import Path

from dagfleet.fleet import load_fleet
from dagfleet.image import process_release

if __name__ == "__main__":
    fleet_file = load_fleet(Path(__file__).resolve().parents[3] / "inventory" / "lab" / "fleet.yml")
    release = process_release(fleet_file, "reporting")
    print(json.dumps({"digest": release.digest, "archive": str(release.archive)}))
