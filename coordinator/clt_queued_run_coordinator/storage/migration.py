"""The queue's own tables and triggers beside Dagster's, made once and by one process at a time."""

import sqlalchemy
from sqlalchemy import text

VERSION = 1
# Any number that nothing else on this database uses; "dagfleet" as eight bytes.
LOCK = 0x646167666C656574

_TABLES = """
create table if not exists dagfleet_queue_version (
    version int primary key,
    applied_at timestamptz not null default now()
);
create table if not exists dagfleet_queue_leader (
    one boolean primary key default true check (one),
    epoch bigint not null,
    holder text not null,
    identity text not null,
    backend int not null,
    since timestamptz not null,
    renewed_at timestamptz not null
);
create table if not exists dagfleet_queue_claims (
    run_id text primary key,
    epoch bigint not null,
    identity text not null,
    token bigint not null,
    claimed_at timestamptz not null default now(),
    handed_at timestamptz
);
create table if not exists dagfleet_queue_pauses (
    kind text not null check (kind in ('location', 'user', 'host')),
    name text not null,
    since timestamptz not null default now(),
    paused_by text not null,
    reason text not null default '',
    primary key (kind, name)
);
create table if not exists dagfleet_queue_holds (
    kind text not null check (kind in ('run', 'location', 'host')),
    name text not null,
    not_before timestamptz not null,
    reason text not null,
    primary key (kind, name)
);
create table if not exists dagfleet_queue_reasons (
    run_id text primary key,
    reason text not null,
    since timestamptz not null default now()
);
insert into dagfleet_queue_leader values (true, 0, '', '', 0, now(), '-infinity') on conflict do nothing;
"""

# Dagster's own notification is sent before the run's row changes; a trigger's arrives with the commit.
_TRIGGERS = """
create or replace function dagfleet_queue_run_changed() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        perform pg_notify('dagfleet_queue', 'gone ' || old.run_id);
    else
        perform pg_notify('dagfleet_queue', lower(new.status) || ' ' || new.run_id);
    end if;
    return null;
end $$;
create or replace function dagfleet_queue_told() returns trigger language plpgsql as $$
begin
    perform pg_notify('dagfleet_queue', tg_argv[0]);
    return null;
end $$;
drop trigger if exists dagfleet_queue_run_added on runs;
create trigger dagfleet_queue_run_added after insert on runs for each row
    when (new.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING'))
    execute function dagfleet_queue_run_changed();
drop trigger if exists dagfleet_queue_run_changed on runs;
create trigger dagfleet_queue_run_changed after update of status, run_body on runs for each row
    when (old.status is distinct from new.status
          or (new.status = 'QUEUED' and old.run_body is distinct from new.run_body))
    execute function dagfleet_queue_run_changed();
drop trigger if exists dagfleet_queue_run_deleted on runs;
create trigger dagfleet_queue_run_deleted after delete on runs for each row
    when (old.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING'))
    execute function dagfleet_queue_run_changed();
drop trigger if exists dagfleet_queue_pauses_changed on dagfleet_queue_pauses;
create trigger dagfleet_queue_pauses_changed after insert or update or delete on dagfleet_queue_pauses
    for each statement execute function dagfleet_queue_told('pauses');
do $$
declare named text;
begin
    -- A database that `dagster instance migrate` has not reached yet may lack one of these.
    foreach named in array array['concurrency_limits', 'concurrency_slots', 'pending_steps'] loop
        continue when to_regclass(named) is null;
        execute 'drop trigger if exists dagfleet_queue_pools on ' || named;
        execute 'create trigger dagfleet_queue_pools after insert or update or delete on ' || named
            || ' for each statement execute function dagfleet_queue_told(''pools'')';
    end loop;
end $$;
"""


def ensure(engine: sqlalchemy.Engine) -> None:
    """Bring the tables and triggers to this version; safe to repeat, from any number of processes."""
    with engine.connect() as connection:
        if _version(connection) == VERSION:
            return
    transactional = engine.execution_options(isolation_level="READ COMMITTED")
    with transactional.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if _version(connection) == VERSION:
            return
        connection.exec_driver_sql(_TABLES)
        connection.exec_driver_sql(_TRIGGERS)
        connection.execute(
            text("insert into dagfleet_queue_version values (:version) on conflict do nothing"),
            {"version": VERSION},
        )


def _version(connection: sqlalchemy.Connection) -> int:
    present = connection.execute(text("select to_regclass('dagfleet_queue_version')")).scalar()
    if present is None:
        return 0
    return int(connection.execute(text("select max(version) from dagfleet_queue_version")).scalar() or 0)
