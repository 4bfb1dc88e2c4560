"""What the queue asks of PostgreSQL: pooled connections, batched statements, tables of its own."""
