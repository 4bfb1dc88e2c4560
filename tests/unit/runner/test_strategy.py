from importlib.metadata import version

import pytest
from ansible.plugins.loader import strategy_loader
from dagfleet.runner import strategy


def test_ansible_finds_the_strategy_with_the_versions_that_are_locked() -> None:
    chosen = strategy.environment()
    if not version("ansible-core").startswith(strategy.TRIED):
        assert chosen == {}
        return
    strategy_loader.add_directory(chosen["ANSIBLE_STRATEGY_PLUGINS"])
    assert strategy_loader.find_plugin(chosen["ANSIBLE_STRATEGY"])


def test_another_ansible_core_works_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategy, "version", lambda _package: "2.99.0")
    assert strategy.environment() == {}
