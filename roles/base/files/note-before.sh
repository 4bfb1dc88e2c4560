# shellcheck shell=sh
# Writes down which packages and accounts a host has. The accounts come last: they say that the list is whole.
set -eu
export LC_ALL=C
umask 022
mkdir -p /var/lib/dagfleet/before
cd /var/lib/dagfleet/before
# shellcheck disable=SC2016 # dpkg's own format
dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u >packages
{ getent passwd && getent group; } | cut -d: -f1 | sort -u >accounts.new
mv accounts.new accounts
