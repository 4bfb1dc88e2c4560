"""The practice fleet: systemd containers on one machine that behave as separate hosts."""
