"""The example locations are projects of their own, which the development environment does not install."""

import sys
from pathlib import Path

LOCATIONS = Path(__file__).parents[3] / "inventory/lab/locations"
sys.path[:0] = [str(LOCATIONS / name) for name in ("etl", "reporting")]
