"""Example code location: real tables, loaded into the warehouse by partitioned assets."""
