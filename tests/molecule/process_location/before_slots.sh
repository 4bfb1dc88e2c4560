#!/bin/sh
# Serve a location as Dagfleet did before there were slots: one unit, at the first of the location's ports.
# usage: before_slots.sh LOCATION RELEASE PORT
set -eu
release=/opt/dagfleet/locations/$1/$2
/usr/local/lib/dagfleet/code-server remove "$1"
cat >"/etc/systemd/system/dagfleet-location-$1.service" <<EOF
[Unit]
Description=Dagster code location $1

[Service]
User=dagfleet
Group=dagfleet
WorkingDirectory=$release
EnvironmentFile=/etc/dagfleet/locations/$1/environment
ExecStart=$release/venv/bin/dagster api grpc -h 127.0.0.1 -p $3 "-f" "/srv/location/definitions.py"
Restart=always
RestartSec=5
ExecStop=/bin/kill -TERM \$MAINPID

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --now "dagfleet-location-$1.service"
rm -rf /usr/local/lib/dagfleet/code-server /usr/local/lib/dagfleet/code_servers
