#!/bin/sh
# usage: copy-primary.sh SERVICE DATA PORT PASSFILE USER VERSION
# Makes DATA a copy of the PostgreSQL at 127.0.0.1:PORT that follows it. What was there goes only once the copy is whole.
set -eu
service=$1 data=$2 port=$3 passfile=$4 user=$5 version=$6
cd /
# A copy that still follows would hold the slot.
systemctl stop "$service"
rm -rf "$data.next"
runuser -u "$user" -- "/usr/lib/postgresql/$version/bin/pg_basebackup" --pgdata "$data.next" --write-recovery-conf \
    --slot dagfleet_standby --wal-method stream --checkpoint fast \
    --dbname "host=127.0.0.1 port=$port user=dagfleet_standby passfile=$passfile application_name=dagfleet_standby"
rm -rf "$data"
mv "$data.next" "$data"
