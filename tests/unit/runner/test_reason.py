from dagfleet.runner.events import Status, TaskEnded
from dagfleet.runner.reason import Failure, failure


def reason(error: str = "", **facts: object) -> Failure:
    return failure(TaskEnded("beta", "mesh: Install HAProxy", Status.FAILED, facts=facts, error=error))


def test_a_modules_own_message_is_the_reason() -> None:
    assert reason(msg="No package matching 'haproxy' is available").sentence == (
        "No package matching 'haproxy' is available"
    )


def test_a_commands_last_error_line_is_the_reason() -> None:
    found = reason(
        msg="non-zero return code",
        rc=100,
        cmd=["apt-get", "install"],
        stderr="W: Some mirror is slow\nE: Could not get lock /var/lib/dpkg/lock\n",
    )
    assert found.sentence == "E: Could not get lock /var/lib/dpkg/lock (exit 100)"
    assert found.lines == ("W: Some mirror is slow",)


def test_only_the_last_lines_that_matter_are_kept() -> None:
    output = "\n".join(f"step {number}" for number in range(100)) + "\nfatal error: disk full"
    found = reason(msg="non-zero return code", rc=1, stdout=output)
    assert found.sentence == "fatal error: disk full (exit 1)"
    assert found.lines[-1] == "step 99"
    assert len(found.lines) <= 8


def test_a_template_that_cannot_be_rendered_says_why() -> None:
    message = (
        "Task failed: Finalization of task args for 'ansible.builtin.command' failed: "
        "Error while resolving value for '_raw_params': 'mesh_port' is undefined"
    )
    assert reason(msg=message).sentence == "'mesh_port' is undefined"


def test_a_program_that_is_not_there_says_so() -> None:
    found = reason(msg="Error executing command.", rc=2, error="[Errno 2] No such file: b'haproxy'")
    assert found.sentence == "[Errno 2] No such file: b'haproxy'"


def test_the_item_that_failed_is_named() -> None:
    assert reason(msg="no such file", item="etl").sentence == "etl: no such file"


def test_a_silent_command_still_has_its_exit_code() -> None:
    assert reason(msg="non-zero return code", rc=7).sentence == (
        "its command ended with exit code 7 and said nothing"
    )


def test_nothing_at_all_is_said_honestly() -> None:
    assert reason().sentence == "it gave no reason"


def test_a_hidden_result_stays_hidden() -> None:
    found = failure(TaskEnded("beta", "x", Status.FAILED, hidden=True, facts={"msg": "hunter2"}))
    assert "hunter2" not in found.sentence
    assert found.lines == ()


def test_a_list_of_lines_is_read_as_lines() -> None:
    found = reason(msg=["first", "second"])
    assert (found.sentence, found.lines) == ("first", ("second",))


def test_an_unreachable_host_is_marked() -> None:
    ended = TaskEnded("beta", "x", Status.UNREACHABLE, facts={"msg": "Failed to connect"})
    assert failure(ended).unreachable
