import json

from dagfleet.runner.events import Ended, HostStarted, PlayStarted, Status, TaskEnded, TaskStarted, event


def line(**value: object) -> str:
    return json.dumps(value)


def result(**value: object) -> str:
    facts = {"status": "ok", "hidden": False, "facts": {}, "error": "", "diff": []}
    return line(**{"event": "result", "host": "beta", "task": "mesh : Install HAProxy", **facts, **value})


def test_events_are_values() -> None:
    assert event(line(event="play", name="Prepare every host")) == PlayStarted("Prepare every host")
    assert event(line(event="task", name="mesh : Install HAProxy")) == TaskStarted("mesh: Install HAProxy")
    assert event(line(event="start", host="beta", task="Ping")) == HostStarted("beta", "Ping")
    assert event(line(event="stats", hosts={"beta": {"ok": 1}})) == Ended({"beta": {"ok": 1}})
    assert event(result(status="changed", diff=["-a\n+b\n"])) == TaskEnded(
        "beta", "mesh: Install HAProxy", Status.CHANGED, diff=("-a\n+b\n",)
    )


def test_what_a_plugin_prints_besides_is_no_event() -> None:
    assert event("[WARNING]: something") is None
    assert event("[]") is None
    assert event(line(event="something new")) is None
