"""Make the practice machines' image of a release of Debian when it is missing, and print its reference.

usage: machine_image.py [SUITE]
"""

import sys

from dagfleet.lab import engine, machine_image

if __name__ == "__main__":
    print(machine_image.ensure(engine.client(), *sys.argv[1:]))
