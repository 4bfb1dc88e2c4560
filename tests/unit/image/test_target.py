"""Packages are chosen for the fleet's machines."""

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.image.target import Target, architecture


@pytest.mark.parametrize(
    ("name", "known"),
    [("x86_64", "x86_64"), ("amd64", "x86_64"), ("arm64", "aarch64"), ("AARCH64", "aarch64")],
)
def test_docker_uname_and_python_names_are_known(name: str, known: str) -> None:
    assert architecture(name) == known


def test_another_architecture_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='"riscv64" is not supported'):
        architecture("riscv64")


def test_wheels_for_older_glibc_are_taken_and_newer_ones_are_not() -> None:
    platforms = Target(architecture="aarch64").wheel_platforms

    assert {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"} <= set(platforms)
    assert "manylinux_2_31_aarch64" not in platforms
