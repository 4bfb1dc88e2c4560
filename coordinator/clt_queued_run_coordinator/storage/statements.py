"""The statements that move runs: each one checks, moves, logs and notes in a single round trip."""

from sqlalchemy import text

# Locking the leader's row inside the statement is the fence: a new leader's first act is to change that row,
# so it waits for a claim under way, and a claim that comes later finds another epoch and moves nothing.
# The status in the body is left alone: Dagster reads the column, and a tag written meanwhile stays.
CLAIM = text("""
with leader as materialized (
    select epoch from dagfleet_queue_leader where epoch = :epoch for share
), asked(run_id, event) as (
    select * from unnest(cast(:ids as text[]), cast(:events as text[]))
), moved as (
    update runs r set status = 'STARTING', update_timestamp = :at
    from asked a, leader where r.run_id = a.run_id and r.status = 'QUEUED'
    returning r.run_id, r.run_body, a.event
), noted as (
    insert into dagfleet_queue_claims (run_id, epoch, identity, token)
    select run_id, :epoch, :identity, :token from moved
    on conflict (run_id) do update set epoch = excluded.epoch, identity = excluded.identity,
        token = excluded.token, claimed_at = now(), handed_at = null
), explained as (
    delete from dagfleet_queue_reasons w using moved m where w.run_id = m.run_id
), logged as (
    insert into event_logs (run_id, event, dagster_event_type, timestamp)
    select run_id, event, 'PIPELINE_STARTING', :at from moved
)
select run_id, run_body from moved
""")

# A run that was canceled since its claim is no longer STARTING and does not go.
HAND_OVER = text("""
with leader as materialized (
    select epoch from dagfleet_queue_leader where epoch = :epoch for share
), done(run_id, token) as (
    select * from unnest(cast(:done as text[]), cast(:done_tokens as bigint[]))
), gone as (
    delete from dagfleet_queue_claims c using done d
    where c.run_id = d.run_id and c.identity = :identity and c.token = d.token
), asked(run_id, token) as (
    select * from unnest(cast(:ids as text[]), cast(:tokens as bigint[]))
)
update dagfleet_queue_claims c set handed_at = now()
from leader, runs r, asked a
where c.run_id = a.run_id and c.identity = :identity and c.token = a.token and c.epoch = leader.epoch
    and r.run_id = c.run_id and r.status = 'STARTING'
returning c.run_id
""")

DONE = text("""
with done(run_id, token) as (select * from unnest(cast(:done as text[]), cast(:done_tokens as bigint[])))
delete from dagfleet_queue_claims c using done d
where c.run_id = d.run_id and c.identity = :identity and c.token = d.token
""")

# Who claimed a run may give it back even when it leads no more: only the claim's owner can.
GIVE_BACK = text("""
with asked(run_id, identity, token, event) as (
    select * from unnest(
        cast(:ids as text[]), cast(:identities as text[]), cast(:tokens as bigint[]), cast(:events as text[]))
), owned as (
    delete from dagfleet_queue_claims c using asked a
    where c.run_id = a.run_id and c.identity = a.identity and c.token = a.token returning c.run_id
), moved as (
    update runs r set status = 'QUEUED', update_timestamp = :at
    from asked a join owned o using (run_id) where r.run_id = a.run_id and r.status = 'STARTING'
    returning r.run_id, a.event
), logged as (
    insert into event_logs (run_id, event, dagster_event_type, timestamp)
    select run_id, event, 'PIPELINE_ENQUEUED', :at from moved
)
select run_id from moved
""")

# A claim that was never handed over was never launched: the launcher is only called after HAND_OVER.
ADOPT = text("""
with leader as materialized (
    select epoch from dagfleet_queue_leader where epoch = :epoch for share
)
update dagfleet_queue_claims c set epoch = leader.epoch, identity = :identity, token = :token
from leader, runs r
where c.handed_at is null and c.epoch <> leader.epoch and r.run_id = c.run_id and r.status = 'STARTING'
returning r.run_id, r.run_body
""")

CLAIMS = text("""
select c.run_id, c.identity, c.token, c.handed_at is not null as handed, r.run_body,
    extract(epoch from now() - coalesce(c.handed_at, c.claimed_at))::float as age
from dagfleet_queue_claims c join runs r using (run_id) where r.status = 'STARTING'
""")

FORGET_OVER = text("""
delete from dagfleet_queue_claims c where claimed_at < now() - interval '1 minute'
    and not exists (select from runs r where r.run_id = c.run_id and r.status = 'STARTING')
""")

FORGET_REASONS = text("""
delete from dagfleet_queue_reasons w
where not exists (select from runs r where r.run_id = w.run_id and r.status = 'QUEUED')
""")

FORGET_HOLDS = text("delete from dagfleet_queue_holds where not_before < now() - interval '1 minute'")

HOLD = text("""
insert into dagfleet_queue_holds (kind, name, not_before, reason)
values (:kind, :name, to_timestamp(:not_before), :reason)
on conflict (kind, name) do update set not_before = excluded.not_before, reason = excluded.reason
""")

EXPLAIN = text("""
with asked(run_id, reason, event) as (
    select * from unnest(cast(:ids as text[]), cast(:reasons as text[]), cast(:events as text[]))
), waiting as (
    select a.* from asked a join runs r using (run_id) where r.status = 'QUEUED'
), logged as (
    insert into event_logs (run_id, event, dagster_event_type, timestamp)
    select run_id, event, 'ENGINE_EVENT', :at from waiting
)
insert into dagfleet_queue_reasons (run_id, reason) select run_id, reason from waiting
on conflict (run_id) do update set reason = excluded.reason, since = now()
""")

# A run that came back to the queue has several events: the first one counts.
EXPIRE = text("""
with leader as materialized (
    select epoch from dagfleet_queue_leader where epoch = :epoch for share
), asked(run_id, canceling, canceled) as (
    select * from unnest(cast(:ids as text[]), cast(:canceling as text[]), cast(:canceled as text[]))
), moved as (
    update runs r set status = 'CANCELED', update_timestamp = :at, end_time = :now
    from asked a, leader where r.run_id = a.run_id and r.status = 'QUEUED' and exists (
        select from event_logs e where e.run_id = a.run_id
            and e.dagster_event_type = 'PIPELINE_ENQUEUED' and e.timestamp <= :queued_before)
    returning r.run_id, a.canceling, a.canceled
), logged as (
    insert into event_logs (run_id, event, dagster_event_type, timestamp)
    select run_id, canceling, 'PIPELINE_CANCELING', :at from moved
    union all select run_id, canceled, 'PIPELINE_CANCELED', :at from moved
)
select run_id from moved
""")
