"""A Dagster run coordinator whose tags can be trusted, so that limits per code location hold."""
