"""The warehouse: the PostgreSQL database that the assets write to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dagster import ConfigurableResource, Failure
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    Table,
    create_engine,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from etl.sources import Row

UNDEFINED_TABLE = "42P01"  # https://www.postgresql.org/docs/15/errcodes-appendix.html


class Warehouse(ConfigurableResource[None]):
    """Where tables are kept. The password is apart from the URL, so that the URL may be shown to anybody."""

    url: str
    password: str

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a connection whose work is committed at the end, or undone by an exception."""
        url = make_url(self.url).set(drivername="postgresql+psycopg2", password=self.password)
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
        with engine.begin() as connection:
            yield connection

    def replace(self, table: Table, rows: list[Row], *, where: ColumnElement[bool] | None = None) -> int:
        """Put `rows` in the place of those that match `where`, or of all; returns the table's new row count.

        One transaction: readers see the old rows or the new ones, and doing it again changes nothing.
        """
        with self.transaction() as connection:
            # Other partitions' runs work on other hosts at the same time and may find the table missing too.
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(table.name))))
            table.create(connection, checkfirst=True)
            connection.execute(table.delete() if where is None else table.delete().where(where))
            if rows:
                connection.execute(insert(table), rows)
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def query(self, statement: Executable) -> Sequence[RowMapping]:
        """All rows of a statement. Raises Failure when a table that it reads was never materialised."""
        try:
            with self.transaction() as connection:
                return connection.execute(statement).mappings().all()
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) != UNDEFINED_TABLE:
                raise
            fact = str(error.orig).splitlines()[0]
            raise Failure(f"{fact} yet. Materialise the asset of that name first.") from error
