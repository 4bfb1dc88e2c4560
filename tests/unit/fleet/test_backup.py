"""What fleet.yml may say about backups."""

import pytest

from tests.unit.fleet.texts import fleet_with, problems_with

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def test_nothing_said_means_no_schedule_and_seven_kept() -> None:
    backup = fleet_with().backup
    assert (backup.schedule, backup.keep, backup.directory, backup.recipient) == (
        None, 7, "/var/backups/dagfleet", None,
    )  # fmt: skip


def test_a_schedule_a_directory_and_a_recipient_are_taken() -> None:
    text = (
        f'backup: {{schedule: "Mon..Fri 22:00", keep: 30, directory: /srv/backups/, recipient: {RECIPIENT}}}'
    )
    backup = fleet_with(backup=text).backup
    assert (backup.schedule, backup.keep, backup.directory, backup.recipient) == (
        "Mon..Fri 22:00", 30, "/srv/backups", RECIPIENT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "key", "fact"),
    [
        ("schedule: 315", "schedule", 'write it in quotes, such as "03:15"'),
        ('schedule: "daily\\nExecStart=/bin/sh"', "schedule", "is no time"),
        ("schedule: ''", "schedule", "is no time"),
        ("keep: 0", "keep", "1"),
        ("directory: backups", "directory", "write the whole path"),
        ("directory: /var", "directory", "a directory of its own"),
        ("directory: /srv/../etc/cron.d", "directory", "cannot hold backups"),
        ("directory: '/srv/my backups'", "directory", "cannot hold backups"),
        ("recipient: AGE-SECRET-KEY-1QQQ", "recipient", "this is the secret key"),
        (f"recipient: {RECIPIENT[:-1]}", "recipient", "is no public key of age"),
        ("recipent: x", "recipent", 'did you mean "recipient"?'),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_write(said: str, key: str, fact: str) -> None:
    assert fact in problems_with(backup=f"backup: {{{said}}}")[f"backup.{key}"]


def test_somebody_elses_postgresql_is_not_ours_to_back_up() -> None:
    told = problems_with(
        backup="backup: {keep: 3}", postgres="postgres: {mode: external, url: secret://warehouse}"
    )
    assert told == {"backup": "with postgres.mode external its owner backs the server up; take this out"}
