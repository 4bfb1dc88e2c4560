raise ModuleNotFoundError("No module named 'dagster_postgres'")
