"""Secrets do not appear in output."""

from pathlib import Path

from dagfleet.fleet import load_fleet
from dagfleet.secrets import Secrets, masker

from tests.unit.fleet.texts import fleet_text


def test_every_value_is_hidden_wherever_it_stands() -> None:
    assert masker(["hunter2", "s3cret"])("hunter2 and xs3cretx") == "******** and x********x"


def test_a_secret_within_a_longer_one_leaves_no_rest() -> None:
    assert masker(["pass", "password"])("the password, the pass") == "the ********, the ********"


def test_signs_in_a_secret_are_taken_as_they_are() -> None:
    assert masker(["a.b*"])("a.b* axbb") == "******** axbb"


def test_empty_values_hide_nothing() -> None:
    assert masker(["", "\n"])("a\nb") == "a\nb"
    assert masker([])("a") == "a"


def test_each_line_and_each_password_of_a_list_of_users_is_hidden() -> None:
    hide = masker(["ann:correct-horse\nbob:battery-staple"])
    assert hide("ann:correct-horse") == "********"
    assert hide("login with battery-staple") == "login with ********"


def test_secrets_resolved_after_the_masker_was_made_are_hidden_too(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_text(fleet_text())
    secrets = Secrets(load_fleet(tmp_path / "fleet.yml"), environ={"WAREHOUSE": "hunter2"})
    hide = secrets.masker()
    assert hide("hunter2") == "hunter2"
    secrets.resolve("warehouse")
    assert hide("hunter2") == "********"
