"""A code location as it stands: `dagster api grpc -m dagster_multihost_launcher.admin_definitions`."""

from dagster_multihost_launcher.admin import build_admin_definitions

defs = build_admin_definitions()
