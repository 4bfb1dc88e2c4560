"""Puts the queue of one instance together from its configuration."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dagster import QueuedRunCoordinator
from dagster._core.workspace.context import BaseWorkspaceRequestContext, IWorkspaceProcessContext

from clt_queued_run_coordinator.queue.dispatcher import Dispatcher
from clt_queued_run_coordinator.queue.holds import Holds
from clt_queued_run_coordinator.queue.lanes import WIDTH, Lanes
from clt_queued_run_coordinator.queue.launch import Launch
from clt_queued_run_coordinator.queue.ledger import Ledger
from clt_queued_run_coordinator.queue.limits import limits_of
from clt_queued_run_coordinator.queue.mailbox import Mailbox
from clt_queued_run_coordinator.queue.observer import Observer

NEVER = -1

Context = IWorkspaceProcessContext[BaseWorkspaceRequestContext]


@dataclass(frozen=True)
class Parts:
    """What decides, what launches, and what tells them."""

    dispatcher: Dispatcher
    lanes: Lanes
    mailbox: Mailbox


def assemble(
    workspace_process_context: Context,
    *,
    ledger: Ledger,
    mailbox: Mailbox,
    holds: Holds,
    observer: Observer,
    in_order: bool = False,
    clock: Callable[[], float] = time.time,
) -> Parts:
    """Build the queue's parts; `in_order` launches one run after the other unless threads are configured."""
    instance = workspace_process_context.instance
    coordinator = instance.run_coordinator
    config = instance.get_concurrency_config().run_queue_config
    if not isinstance(coordinator, QueuedRunCoordinator) or config is None:
        raise TypeError(
            f"run_coordinator in dagster.yaml is {type(coordinator).__name__}, which has no queue to run:"
            " configure CLTQueuedRunCoordinator or QueuedRunCoordinator"
        )
    launch = Launch(
        instance,
        ledger=ledger,
        holds=holds,
        observer=observer,
        workspace=workspace_process_context.create_request_context,
        config=config,
        clock=clock,
    )
    width = 1 if in_order and not coordinator.dequeue_use_threads else coordinator.dequeue_num_workers
    lanes = Lanes(width=width or WIDTH, ledger=ledger, launch=launch, freed=lambda: mailbox.post("room"))
    admission = getattr(getattr(coordinator, "extensions", None), "admission", None)
    stale_after = getattr(admission, "stale_timeout_seconds", NEVER)
    dispatcher = Dispatcher(
        instance,
        limits=limits_of(instance),
        ledger=ledger,
        lanes=lanes,
        holds=holds,
        observer=observer,
        stale_after=None if stale_after == NEVER else stale_after,
    )
    return Parts(dispatcher, lanes, mailbox)
