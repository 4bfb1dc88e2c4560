"""A code location for a host without Docker."""
