"""Where the bands of a lazy stack are computed: by threads of this process, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from chemoscape.blocks._threads import current_listener, n_workers, one_blas_thread
from chemoscape.errors import ChemoscapeError

_client: ContextVar[Any] = ContextVar("client", default=None)

#: How often a band whose worker died is tried again on another one.
RETRIES = 3
#: Seconds within which a scheduler has to answer.
ANSWER_S = 20


@contextmanager
def cluster(scheduler: Any) -> Iterator[None]:
    """Compute lazy stacks on the workers of a cluster inside the block.

    The workers read the files themselves: they need the same paths and the same chemoscape.

    Parameters
    ----------
    scheduler : str or dask.distributed.Client
        Address of a scheduler, such as ``"tcp://head-node:8786"``, or a client of one; an empty
        string leaves the work to threads of this process.

    Raises
    ------
    ChemoscapeError
        `distributed` is not installed, or nobody answers at the address.
    """
    if not isinstance(scheduler, str):
        with _working_on(scheduler):
            yield
    elif not scheduler:
        yield
    else:
        client = _connected(scheduler)
        try:
            with _working_on(client):
                yield
        finally:
            client.close()


def on_cluster() -> bool:
    """Whether lazy stacks are computed on a cluster."""
    return _client.get() is not None


@contextmanager
def _working_on(client: Any) -> Iterator[None]:
    token = _client.set(client)
    try:
        yield
    finally:
        _client.reset(token)


def _connected(address: str) -> Any:
    """A client of the scheduler at an address."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ChemoscapeError(
            "computing on a cluster needs the package distributed",
            address,
            "install chemoscape[cluster]",
        ) from error
    try:
        return Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ChemoscapeError(
            f"no scheduler answers ({error})",
            address,
            "start one with `dask scheduler`, or correct [compute] scheduler",
        ) from error


def compute_each(tasks: Sequence[Any], take: Callable[[int, Any], None]) -> None:
    """Compute delayed tasks, in any order, and call ``take(number, result)`` for each.

    Nothing is kept but what `take` keeps, and what several tasks share is computed once. On threads
    `take` is called in several of them at a time, on a cluster in the one that waits. The first
    error ends the work and is raised here, as is what a listener of `reporting` raises.
    """
    if _client.get() is None:
        _by_threads(tasks, take)
    else:
        _by_workers(_client.get(), tasks, take)


def _by_threads(tasks: Sequence[Any], take: Callable[[int, Any], None]) -> None:
    import dask
    from dask.callbacks import Callback

    deliver = dask.delayed(take, pure=False, traverse=False)
    # among equals dask begins with the last key, and files are read fastest in the order of rows
    name = f"deliver-{uuid4().hex}"
    last = [
        deliver(number, task, dask_key_name=f"{name}-{len(tasks) - number:08d}")
        for number, task in enumerate(tasks)
    ]
    awaited = {task.key for task in last}
    listener = current_listener()

    def count(key: Any, *_: Any) -> None:
        if key in awaited and listener is not None:
            awaited.remove(key)
            listener(len(last) - len(awaited), len(last))

    with one_blas_thread(), Callback(posttask=count):
        dask.compute(*last, scheduler="threads", num_workers=n_workers(), optimize_graph=False)


def _by_workers(client: Any, tasks: Sequence[Any], take: Callable[[int, Any], None]) -> None:
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    futures = client.compute(list(tasks), retries=RETRIES, optimize_graph=False)
    numbers = {future.key: number for number, future in enumerate(futures)}
    n, listener = len(futures), current_listener()
    waiting = as_completed(futures)
    del futures  # a result that was taken is to be forgotten by the workers
    try:
        for done, future in enumerate(waiting, start=1):
            take(numbers[future.key], _fetched(future))
            future.release()
            if listener is not None:
                listener(done, n)
    except KilledWorker as error:
        raise ChemoscapeError(
            f"the workers of the cluster died again and again over the same band ({error})",
            remedy="give them more memory: a band needs several times the size of a chunk of the "
            "file",
        ) from error


def _fetched(future: Any) -> Any:
    """The result of a finished future. A connection that breaks while it is fetched (its errors are
    those of the operating system, and assertions in the library of connections) is made anew.
    """
    for _ in range(RETRIES):
        try:
            return future.result()
        except (OSError, AssertionError):
            if future.status != "finished":  # it is the error of the work itself
                raise
    return future.result()
