"""When a deploy believes the web server, what it makes of a host's words, and where a rollback goes."""

from dataclasses import replace

import pytest
from dagfleet.control.plane import LoadedLocation
from dagfleet.control.session import WebError
from dagfleet.errors import ConfigurationError, DagfleetError
from dagfleet.phases.code_servers import refused
from dagfleet.phases.deploying import shown
from dagfleet.phases.releases import earlier, version_in
from dagfleet.probe.history import Release


class Answers:
    """A web server whose answers come from a list, the last one for ever."""

    def __init__(self, *answers: list[LoadedLocation] | Exception) -> None:
        self.left = list(answers)

    def locations(self) -> list[LoadedLocation]:
        first = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(first, Exception):
            raise first
        return first


def etl(server: str, error: str | None = None) -> list[LoadedLocation]:
    return [LoadedLocation("etl", error is None, False, server, ("__repository__",), error)]


def show(answers: Answers, *, patience: float = 5) -> None:
    shown(answers, "etl", "new", patience=patience, sleep=lambda _seconds: None)  # type: ignore[arg-type]


def release(number: int, **images: str) -> Release:
    return Release(
        number=number, at="2026-11-21T14:02:11+00:00", by="ops@laptop", command="dagfleet apply",
        version="0.1.0", config="ab12", seconds=1.0, images=images,
    )  # fmt: skip


def test_the_new_servers_code_is_waited_for() -> None:
    show(Answers(etl("old"), WebError("answered 503"), etl("new", "Could not reach"), etl("new")))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (etl("old"), "does not show the new code of etl yet"),
        (etl("new", "ImportError: no"), "location etl cannot be loaded: ImportError: no"),
        ([], "does not know location etl"),
        (WebError("answered 503"), "answered 503"),
    ],
)
def test_what_never_shows_is_told(answer: list[LoadedLocation] | Exception, message: str) -> None:
    with pytest.raises(DagfleetError, match=message):
        show(Answers(answer), patience=0)


def test_a_host_without_the_script_is_told_from_one_whose_image_does_not_serve() -> None:
    old = refused("beta", "sh: 1: /usr/local/lib/dagfleet/code-server: not found")
    assert old.message == "beta is from an older Dagfleet"
    assert refused("beta", "The code server of etl stopped.\n").message.startswith("beta: The code server")


def test_a_rollback_goes_to_the_last_release_with_another_image() -> None:
    known = [release(1, etl="etl:1"), release(2, etl="etl:2", ml="ml:1"), release(3, etl="etl:3", ml="ml:1")]
    assert earlier([*known, release(4, etl="etl:3", ml="ml:2")], "etl", "etl:3").number == 2
    assert earlier(known, "etl", "etl:3", number=1).images["etl"] == "etl:1"
    # Back twice is forth again: the release that was left is the last other one then.
    assert earlier([*known, release(4, etl="etl:2", ml="ml:1")], "etl", "etl:2").number == 3


def test_a_location_without_an_image_goes_back_to_the_last_other_digest() -> None:
    known = [replace(release(number, etl="etl:1"), digests={"reporting": digest})
             for number, digest in enumerate(("aa", "bb", "bb"), start=1)]  # fmt: skip
    chosen = earlier(known, "reporting", "bb")
    assert (chosen.number, version_in(chosen, "reporting")) == (1, "aa")


def test_an_image_whose_name_stood_for_something_else_is_another_one() -> None:
    known = [replace(release(number, etl="etl:1"), digests={"etl": digest})
             for number, digest in enumerate(("sha256:aa", "sha256:bb"), start=1)]  # fmt: skip
    assert earlier(known, "etl", "etl:1").number == 1


def test_a_rollback_to_nowhere_says_so() -> None:
    with pytest.raises(ConfigurationError, match="etl has had no other version than etl:1"):
        earlier([release(1, etl="etl:1")], "etl", "etl:1")
    with pytest.raises(ConfigurationError, match="release 7 has no version of etl on record"):
        earlier([release(1, etl="etl:1")], "etl", "etl:1", number=7)
