from dagfleet.fleet import FleetFile, parse_fleet
from dagfleet.image import PushResult, control_plane_reference
from dagfleet.phases.images import Sent, described, images_to_send, same_image
from docker.models.images import Image

from tests.unit.phases.conftest import FLEET


def test_pushed_locations_and_our_own_control_plane_are_sent(fleet_file: FleetFile) -> None:
    fleet = fleet_file.fleet
    assert images_to_send(fleet) == {"alpha": [control_plane_reference(fleet)], "beta": ["etl:1"]}


def test_where_hosts_pull_only_the_control_planes_own_image_is_sent() -> None:
    fleet = parse_fleet(FLEET.replace("docker: {images: push}", ""), name="fleet.yml")
    assert images_to_send(fleet) == {"alpha": [control_plane_reference(fleet)]}


def test_a_pinned_control_plane_is_pulled_with_the_rest() -> None:
    pinned = FLEET.replace("docker: {images: push}", "").replace(
        "{host: alpha,", '{host: alpha, image: "registry.example.com/control:1",'
    )
    assert images_to_send(parse_fleet(pinned, name="fleet.yml")) == {}


def test_a_named_location_is_sent_whatever_the_fleets_setting() -> None:
    fleet = parse_fleet(FLEET.replace("docker: {images: push}", ""), name="fleet.yml")
    assert images_to_send(fleet, ["etl"]) == {"beta": ["etl:1"]}


def test_what_was_sent_is_said_in_bytes_and_layers() -> None:
    result = PushResult(bytes_sent=12 * 1024**2, layers_sent=2, layers_total=9)
    assert described(Sent("beta", {"etl:1": result})) == "beta 12 MiB (2 of 9 layers)"


def image(name: str, *, layers: tuple[str, ...] = ("a",), created: str = "2026-11-21") -> Image:
    return Image(attrs={"Id": name, "RootFS": {"Layers": list(layers)}, "Created": created})


def test_a_host_that_has_the_image_needs_nothing_sent() -> None:
    assert same_image(image("sha256:1"), image("sha256:1"))
    assert same_image(None, image("sha256:1"))


def test_a_host_that_lacks_it_or_has_an_older_one_does() -> None:
    assert not same_image(image("sha256:1"), None)
    assert not same_image(image("sha256:2", layers=("a", "b")), image("sha256:1"))


def test_engines_that_name_images_differently_still_agree() -> None:
    assert same_image(image("sha256:config"), image("sha256:manifest"))
