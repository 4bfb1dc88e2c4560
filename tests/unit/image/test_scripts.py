"""Commands in an image start the image's Python, whatever the interpreter was called where they were made."""

from pathlib import Path

import pytest
from dagfleet.image.environment import repoint

BODY = b"# -*- coding: utf-8 -*-\nimport sys\n"


@pytest.mark.parametrize(
    "start",
    [
        b"#!/home/ops/dagfleet/.venv/bin/python3.12\n",
        b"#!/usr/bin/env python\n",
        b"#!/bin/sh\n'''exec' '/a path/with blanks/bin/python' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_python_script_is_pointed_at_the_image(tmp_path: Path, start: bytes) -> None:
    script = tmp_path / "dagster"
    script.write_bytes(start + BODY)

    repoint(script)

    assert script.read_bytes() == b"#!/opt/venv/bin/python\n" + BODY


@pytest.mark.parametrize("content", [b'#!/bin/sh\nexec python3 "$@"\n', b"\x7fELF\x02\x01 #!python\n"])
def test_other_programs_are_left_alone(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)

    repoint(program)

    assert program.read_bytes() == content
