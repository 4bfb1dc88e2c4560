"""Changes of runs, each with its tags, events and status in one write."""
