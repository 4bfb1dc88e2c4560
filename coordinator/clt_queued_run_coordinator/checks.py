"""Mistakes that the schema alone lets through, each with its key, its value and the fix."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from clt_queued_run_coordinator.admission import settings as admission
from clt_queued_run_coordinator.metrics import settings as metrics
from clt_queued_run_coordinator.schema import Extensions, FairSharingSettings

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.1
_TAGS = ("code_location_tag", "user_tag", "host_group_tag", "team_tag")
_LEAST = {
    "dequeue_interval_seconds": 0,
    "dequeue_num_workers": 1,
    "max_user_code_failure_retries": 0,
    "user_code_failure_retry_delay": 0,
}


def problems(base: Mapping[str, Any], extensions: Extensions) -> list[str]:
    """Return a sentence for each mistake, in the order of the keys; empty if there is none."""
    return [*_counts(base), *_tag_limits(base.get("tag_concurrency_limits") or []), *_extensions(extensions)]


def _counts(base: Mapping[str, Any]) -> Iterator[str]:
    runs = base.get("max_concurrent_runs")
    if runs is not None and runs < -1:
        yield f"max_concurrent_runs: {runs}: write -1 for no limit, 0 to stop launching, or a positive number"
    for key, least in _LEAST.items():
        value = base.get(key)
        if value is not None and value < least:
            yield f"{key}: {value}: write {least} or more"
    blocking = base.get("block_op_concurrency_limited_runs") or {}
    if blocking.get("op_concurrency_slot_buffer") and blocking.get("enabled") is False:
        yield (
            f"block_op_concurrency_limited_runs.op_concurrency_slot_buffer:"
            f" {blocking['op_concurrency_slot_buffer']}: has no effect with enabled: false;"
            " write enabled: true or remove the buffer"
        )


def _tag_limits(limits: list[Mapping[str, Any]]) -> Iterator[str]:
    for index, limit in enumerate(limits):
        where = f"tag_concurrency_limits[{index}]"
        if not limit["key"]:
            yield f"{where}.key: '': write the tag's key, for instance code_location"
        if limit["limit"] < 0:
            yield f"{where}.limit: {limit['limit']}: write 0 or more"
    counted = Counter((limit["key"], repr(limit.get("value"))) for limit in limits)
    for (key, value), times in counted.items():
        if times > 1:
            yield (
                f"tag_concurrency_limits: key {key} with value {value} stands {times} times: keep one of them"
            )


def _extensions(extensions: Extensions) -> Iterator[str]:
    keys: dict[str, str] = {}
    for name in _TAGS:
        tag = getattr(extensions, name)
        if not tag:
            yield f"{name}: '': write a tag's key, or remove it for the default"
        elif tag.startswith(("dagster/", ".dagster/")):
            yield f"{name}: {tag}: Dagster itself writes tags of this prefix; choose another key"
        elif tag in keys:
            yield f"{name}: {tag}: is also {keys[tag]}; choose another key"
        keys.setdefault(tag, name)
    header = extensions.user_header
    if header is not None and not _HEADER_NAME.fullmatch(header):
        yield f"user_header: {header!r}: is no name of an HTTP header; write one such as X-Forwarded-User"
    if extensions.fair_sharing:
        yield from _fair_sharing(extensions.fair_sharing)
    if extensions.admission:
        yield from admission.problems(extensions.admission)
    if extensions.metrics:
        yield from metrics.problems(extensions.metrics)


def _fair_sharing(fair: FairSharingSettings) -> Iterator[str]:
    if not fair.key:
        yield "fair_sharing.key: '': write the tag whose values share, for instance code_location"
    for value, weight in fair.weights.items():
        if weight <= 0:
            yield f"fair_sharing.weights.{value}: {weight}: write a number above 0"
    if fair.ageing_seconds < 0:
        yield f"fair_sharing.ageing_seconds: {fair.ageing_seconds}: write 0 (no ageing) or more"
