"""Walks each hop of each flow of a fleet and names the first one that is broken."""
