"""Example code location: reports on what the `etl` location loaded, on a host that has no Docker."""
