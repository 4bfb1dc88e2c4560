"""The warehouse, as a reporter sees it: whole tables in, whole tables out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from sqlalchemy import Connection, create_engine, func, inspect, make_url, select
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from pandas import DataFrame


class Warehouse(ConfigurableResource[None]):
    """The database that both locations share. The password is apart from the URL, which anybody may see."""

    url: str
    password: str

    def read(self, table: str) -> "DataFrame | None":
        """All of a table, or None when there is no such table."""
        from pandas import read_sql_table

        with self._transaction() as connection:
            return read_sql_table(table, connection) if inspect(connection).has_table(table) else None

    def write(self, table: str, frame: "DataFrame") -> None:
        """Put `frame` in the place of the table, in one transaction: readers see the old rows or the new."""
        with self._transaction() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(table))))
            frame.to_sql(table, connection, if_exists="replace", index=False)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        url = make_url(self.url).set(drivername="postgresql+psycopg2", password=self.password)
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
        with engine.begin() as connection:
            yield connection
