"""Secrets: resolved when they are needed, never written to the repository, masked in every output."""

from dagfleet.secrets.masking import masker
from dagfleet.secrets.resolving import OVERRIDES, Secrets

__all__ = ["OVERRIDES", "Secrets", "masker"]
