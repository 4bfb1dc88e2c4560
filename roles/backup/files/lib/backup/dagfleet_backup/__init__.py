"""Backups of a fleet's control host, made and put back where PostgreSQL is; for Python 3.9 (Debian 11)."""
