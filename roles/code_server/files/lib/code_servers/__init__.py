"""Code servers of one host: containers or systemd units, two slots for each location, a map of who serves."""
