"""What the control host is told about backups."""

from tests.unit.derive.test_host_vars import EXTERNAL, LOCATIONS, variables
from tests.unit.fleet.texts import fleet_with


def test_only_the_control_host_makes_backups_and_of_every_database() -> None:
    fleet = fleet_with(
        locations=LOCATIONS,
        backup='backup: {schedule: "03:15"}',
        postgres="postgres: {databases: {warehouse: {password: secret://warehouse}}}",
    )
    alpha = variables("alpha", fleet)
    assert alpha["backup_databases"] == [
        {"name": "dagster", "user": "dagster"},
        {"name": "warehouse", "user": "warehouse"},
    ]
    assert (alpha["backup_schedule"], alpha["backup_keep"], alpha["backup_recipient"]) == ("03:15", 7, "")
    assert alpha["backup_versions"]["dagster"] == "1.13.27"
    assert not [name for name in variables("beta", fleet) if name.startswith("backup_")]


def test_an_external_postgresql_is_not_backed_up() -> None:
    alpha = variables("alpha", fleet_with(locations=LOCATIONS, postgres=EXTERNAL))
    assert alpha["backup_databases"] == []
