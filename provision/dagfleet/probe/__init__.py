"""The reader: what is true on the hosts, asked over SSH in seconds, with no Python needed there."""
