"""The counts of admission in SQL, evaluated in the statement that queues the run."""

from clt_queued_run_coordinator.admission.verdict import Applicant
from clt_queued_run_coordinator.journal.postgres import Gate

# Web servers and daemons that submit at once take turns, from counting to commit.
_LOCK = "dagfleet queue admission"

_QUEUED = "select 1 from runs where status = 'QUEUED'"
# Few rows of run_tags are of live runs, so the live runs are the side to start from.
_LIVE = """select 1 from runs r where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING') and exists (
    select 1 from run_tags t where t.run_id = r.run_id and t.key = %s and t.value = %s)"""
_SELECT = """
select queued, of_user, of_location, ({opens}) as opens from
  (select count(*)::int as queued from ({queued}) a) q,
  (select count(*)::int as of_user from ({of_user}) b) u,
  (select count(*)::int as of_location from ({of_location}) c) l
"""
_NONE = "select 1 where false"


def gate(asking: Applicant, *, user_tag: str, code_location_tag: str) -> Gate:
    """Return the gate that opens while every cap has room; a count stops where its cap is reached."""
    parameters: list[object] = []
    opens = ["true"]
    for name, cap in (
        ("queued", asking.queue_cap),
        ("of_user", asking.user_cap),
        ("of_location", asking.location_cap),
    ):
        if cap is not None:
            opens.append(f"{name} < %s")
            parameters.append(cap)
    queued = _QUEUED
    if asking.queue_cap is not None:
        queued += " limit %s"
        parameters.append(asking.queue_cap)
    of_user = of_location = _NONE
    if asking.user_cap is not None:
        of_user = _LIVE + " limit %s"
        parameters += [user_tag, asking.user, asking.user_cap]
    if asking.location_cap is not None:
        of_location = _LIVE + " limit %s"
        parameters += [code_location_tag, asking.location, asking.location_cap]
    select = _SELECT.format(
        opens=" and ".join(opens), queued=queued, of_user=of_user, of_location=of_location
    )
    return Gate(select, tuple(parameters), lock=_LOCK)
