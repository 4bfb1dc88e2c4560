"""Dagfleet: a handful of Linux machines become one secure Dagster deployment."""

__version__ = "0.1.0"
