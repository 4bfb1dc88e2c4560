#!/bin/sh
# Write a root file system with the distribution's Python to the archive named by the first argument. The packages
# come from this machine's own sources; the plain suite name leaves out foreign ones in sources.list.d.
set -eu
exec mmdebstrap --quiet --mode=root --variant=minbase --include=python3,ca-certificates \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/zoneinfo/right/*' \
    bookworm "$1"
