"""The practice fleet: systemd containers on one machine that behave as separate hosts."""

from dagfleet.lab.practice import WEB_PORT, Progress, down, prepare, up

__all__ = ["WEB_PORT", "Progress", "down", "prepare", "up"]
