"""Real ansible-playbook runs, on this machine, with the shipped configuration and callback."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagfleet.paths import bundle
from dagfleet.runner.events import Event, HostStarted
from dagfleet.runner.log import Log
from dagfleet.runner.outcome import Outcome
from dagfleet.runner.playbook import Ansible
from dagfleet.runner.reason import Failure
from dagfleet.secrets.masking import masker

SECRET = "correct-horse-battery"
PLAY = """
- name: Everything a playbook can do
  hosts: all
  gather_facts: false
  vars:
    secrets: "{{ lookup('env', 'DAGFLEET_SECRETS') | from_json }}"
    file: "{{ folder }}/{{ inventory_hostname }}.conf"
  tasks:
    - name: Change a file
      ansible.builtin.copy: {content: "password={{ secrets.db }}", dest: "{{ file }}", mode: "0600"}
      diff: true
    - name: Only look what would change
      ansible.builtin.copy: {content: "nothing", dest: "{{ file }}", mode: "0600"}
      check_mode: true
      when: inventory_hostname == 'good'
    - name: Change nothing
      ansible.builtin.command: "true"
      changed_when: false
    - name: Recover
      when: inventory_hostname == 'good'
      block:
        - name: Fail for a moment
          ansible.builtin.command: "false"
      rescue:
        - name: Go on
          ansible.builtin.command: "true"
          changed_when: false
    - name: Fail where a host is bad
      ansible.builtin.command: sh -c 'echo "starting"; echo "cannot open {{ secrets.db }}" >&2; exit 4'
      changed_when: false
      when: inventory_hostname == 'bad'
    - name: Fail with a secret
      ansible.builtin.command: sh -c 'echo {{ secrets.db }}; exit 5'
      changed_when: false
      no_log: true
      when: inventory_hostname == 'discreet'
"""


@dataclass
class Bench:
    """A folder with an inventory of hosts that are all this machine."""

    folder: Path
    log: Log

    def ansible(self, *hosts: str) -> Ansible:
        inventory = self.folder / "hosts.yml"
        common = {"ansible_connection": "local", "folder": str(self.folder)}
        inventory.write_text(json.dumps({"all": {"hosts": {host: {} for host in hosts}, "vars": common}}))
        return Ansible(inventory=inventory, secrets={"db": SECRET}, log=self.log, mask=masker([SECRET]))

    def playbook(self, text: str) -> Path:
        path = self.folder / "playbook.yml"
        path.write_text(text)
        return path


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    with Log(folder / "logs", "apply", masker([SECRET])) as log:
        yield Bench(folder, log)


@dataclass
class Played:
    bench: Bench
    outcome: Outcome
    events: list[Event]

    def failure(self, host: str) -> Failure:
        found = self.outcome.hosts[host].failure
        assert found is not None
        return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One run on a good host, a bad one, and one whose failure must not be shown."""
    events: list[Event] = []
    with bench(tmp_path_factory.mktemp("played")) as made:
        runner = made.ansible("good", "bad", "discreet")
        outcome = runner.run(made.playbook(PLAY), follow=lambda event, _outcome: events.append(event))
        yield Played(made, outcome, events)


def test_changes_are_told_apart_from_what_was_so_already(played: Played) -> None:
    assert played.outcome.finished
    assert [change.task for change in played.outcome.hosts["good"].changes] == [
        "Change a file",
        "Only look what would change",
    ]
    assert [change.task for change in played.outcome.hosts["discreet"].changes] == ["Change a file"]


def test_a_rescued_failure_is_none(played: Played) -> None:
    assert played.outcome.hosts["good"].failure is None
    assert played.outcome.ok_hosts(["good", "bad"]) == ["good"]


def test_a_failure_names_its_task_and_its_reason(played: Played) -> None:
    found = played.failure("bad")
    assert (found.task, found.sentence) == ("Fail where a host is bad", "cannot open ******** (exit 4)")


def test_a_failure_that_handles_secrets_shows_nothing(played: Played) -> None:
    assert played.failure("discreet").sentence == "its output is hidden because it handles secrets"


def test_every_task_is_announced_before_it_runs(played: Played) -> None:
    assert HostStarted("good", "Change nothing") in played.events


def test_secrets_reach_hosts_and_never_the_log(played: Played) -> None:
    log = played.bench.log.path
    assert SECRET in (played.bench.folder / "good.conf").read_text()
    assert SECRET not in log.read_text()
    assert "cannot open ********" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_diffs_are_shown_with_secrets_masked(played: Played) -> None:
    change = played.outcome.hosts["good"].changes[0]
    assert "+password=********" in "".join(change.diff)
    assert SECRET not in "".join(change.diff)


def test_a_diff_names_the_file_on_the_host_on_both_sides(tmp_path: Path) -> None:
    wanted, there = tmp_path / "wanted.j2", tmp_path / "there.conf"
    wanted.write_text("maxconn 20\n")
    there.write_text("maxconn 10\n")
    play = [{
        "hosts": "all", "gather_facts": False,
        "tasks": [{"ansible.builtin.template": {"src": str(wanted), "dest": str(there)}, "diff": True}],
    }]  # fmt: skip
    with bench(tmp_path) as made:
        outcome = made.ansible("good").run(made.playbook(json.dumps(play)))
    (diff,) = outcome.hosts["good"].changes[0].diff
    assert f"--- before: {there}\n+++ after: {there}\n" in diff


def test_of_a_playbook_with_tags_only_those_named_run(tmp_path: Path) -> None:
    plays = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tags": [tag],
            "tasks": [{"ansible.builtin.include_tasks": "more.yml"}],
        }
        for tag in ("first", "second")
    ]
    (tmp_path / "more.yml").write_text(json.dumps([{"name": "Work", "ansible.builtin.command": "true"}]))
    with bench(tmp_path) as made:
        book = made.playbook(json.dumps(plays))
        outcomes = [made.ansible("good").run(book, tags=tags) for tags in ((), ["second"])]
    assert [len(outcome.hosts["good"].changes) for outcome in outcomes] == [2, 1]


def test_a_host_that_falls_silent_is_given_up_after_45_seconds(tmp_path: Path) -> None:
    ssh, told = tmp_path / "ssh", tmp_path / "told"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{told}\nexit 255\n')
    ssh.chmod(0o755)
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.command": "true"}]}]
    with bench(tmp_path) as made:
        ansible = made.ansible("good")
        host = {"ansible_host": "127.0.0.1", "ansible_ssh_executable": str(ssh)}
        ansible.inventory.write_text(json.dumps({"all": {"hosts": {"good": host}}}))
        outcome = ansible.run(made.playbook(json.dumps(play)))
    assert outcome.hosts["good"].failure
    # Of options that are given twice, ssh takes the first.
    options = [line.replace(" ", "=") for line in told.read_text().splitlines()]
    alive = [option for option in options if option.startswith("ServerAlive")]
    assert next(each for each in alive if "Interval" in each) == "ServerAliveInterval=15"
    assert next(each for each in alive if "CountMax" in each) == "ServerAliveCountMax=3"


def test_a_playbook_that_cannot_start_says_why(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        broken = made.playbook("- hosts: all\n  tasks:\n    - name: Nonsense\n      no_such_module: {}\n")
        outcome = made.ansible("good").run(broken)
    assert outcome.error is not None
    assert "no_such_module" in outcome.error
    assert outcome.hosts == {}


def test_ctrl_c_ends_ansible_before_it_goes_on_upwards(tmp_path: Path) -> None:
    wait = (
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Wait\n"
        f"      ansible.builtin.command: sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'\n"
    )

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with bench(tmp_path) as made, pytest.raises(KeyboardInterrupt):
        made.ansible("good").run(made.playbook(wait))
    assert time.monotonic() - started < 30
    assert not running(str(tmp_path))


ORPHAN = """
import sys
from pathlib import Path
from dagfleet.runner.log import Log
from dagfleet.runner.playbook import Ansible

folder = Path(sys.argv[1])
with Log(folder, "apply", str) as log:
    Ansible(inventory=folder / "hosts.yml", secrets={}, log=log, mask=str).run(folder / "playbook.yml")
"""


def test_ansible_does_not_outlive_an_operator_who_was_killed(tmp_path: Path) -> None:
    """Else its task would go on when the lock's lease is over, beside whoever takes the lock next."""
    wait = (
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Wait\n"
        f"      ansible.builtin.command: sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600'\n"
        f"    - name: Go on\n      ansible.builtin.command: touch {tmp_path}/more\n"
    )
    with bench(tmp_path) as made:
        made.ansible("good")
        made.playbook(wait)
    marked = os.environ | {"BELONGS_TO": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path)], env=marked) as operator:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
        operator.kill()
    # What a host was told last goes on there, out of anybody's reach; nothing is told to it any more.
    task = int((tmp_path / "pid").read_text())
    try:
        assert belonging(str(tmp_path)) - {task}, "it was at work"
        wait_until(lambda: belonging(str(tmp_path)) == {task})
    finally:
        os.kill(task, signal.SIGKILL)
    assert not (tmp_path / "more").exists()


DEAF = """
import importlib.util, os, sys, time

spec = importlib.util.spec_from_file_location("callback", sys.argv[1])
callback = importlib.util.module_from_spec(spec)
spec.loader.exec_module(callback)
if worker := os.fork():
    os.setpgid(worker, worker)
    print(worker, flush=True)
    time.sleep(600)
os.environ["DAGFLEET_OPERATOR"] = str(os.getppid())
callback.CallbackModule()
print("ready", flush=True)
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""


def test_ansible_that_loses_the_interrupt_does_not_outlive_its_operator_either() -> None:
    """Python drops one that comes while an object is tidied up."""
    callback = bundle() / "plugins/callback/dagfleet_json.py"
    with subprocess.Popen(
        [sys.executable, "-c", DEAF, callback], stdout=subprocess.PIPE, text=True
    ) as operator:
        assert operator.stdout is not None
        said = {operator.stdout.readline().strip() for _ in range(2)}
        assert "ready" in said
        operator.kill()
    (worker,) = said - {"ready"}
    wait_until(lambda: not Path(f"/proc/{worker}").exists())


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(word: str) -> list[str]:
    """The ansible-playbook processes whose command line has `word` in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text().replace("\0", " "))
    return [command for command in found if "ansible-playbook" in command and word in command]


def belonging(mark: str) -> set[int]:
    """Whatever has inherited the mark: Ansible and mitogen begin sessions of their own."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"BELONGS_TO={mark}\0" in path.read_text(errors="replace"):
                found.add(int(path.parent.name))
    return found


def test_only_the_last_logs_are_kept(tmp_path: Path) -> None:
    for number in range(30):
        with Log(tmp_path, f"apply{number:02}", lambda text: text):
            pass
    kept = sorted(path.name for path in tmp_path.glob("*.log"))
    assert len(kept) == 20
    assert kept[-1].endswith("apply29.log")
