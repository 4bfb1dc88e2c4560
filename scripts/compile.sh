#!/bin/sh
# Compile the packages of a Python environment: uncompiled, Dagster and Ansible take twice to four times as long to
# start, and where PYTHONDONTWRITEBYTECODE is set they are compiled again at each start. Of Ansible's collections, which are
# most of it, only those that roles use.
# usage: scripts/compile.sh ENVIRONMENT
set -eu
others='ansible_collections/(?!ansible/|community/(crypto|docker|library_inventory_filtering_v1|postgresql)/)'
# What some packages carry for other versions of Python does not compile.
"$1/bin/python" -m compileall -q -j 0 -x "$others" "$1"/lib/python3*/site-packages >/dev/null 2>&1 || true
