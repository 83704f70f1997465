"""Run tasks over partitions: in threads of this process, or on the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import BrokenOffError, GazeError, ModelError
from clip_gaze.system.resources import usable_cpus
from clip_gaze.wording import first_line, lacking

# What Dask logs of workers that are lost has tracebacks; its results say what matters.
_QUIET = dict.fromkeys(("distributed", "distributed.client", "tornado.application"), "critical")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clip_gaze.datasets.partitions import Partition
    from clip_gaze.datasets.work import Job, Outcome

    Done = tuple[Partition, Outcome | BaseException]

# Partitions for each thread of the workers: one that is worked on, and one that is there when it
# is done. In this process the threads of a `Clip` have the next one where one comes to its end.
_AHEAD = 2
# Seconds.
_PATIENCE = 0.2
# How often Dask tries a task again that has failed, on any worker.
_RETRIES = 3
# Where Dask's configuration has certificates, as variables of the environment spell it.
_TLS = "DASK_DISTRIBUTED__COMM__TLS"


def in_threads(
    task: Callable[[Partition], Outcome], partitions: Iterable[Partition]
) -> Iterator[Done]:
    """Yield partitions with what a task made of them, or what it raised, in order.

    They are asked for as they are worked on.
    """
    waiting: deque[tuple[Partition, Future[Outcome]]] = deque()

    def first() -> Done:
        partition, future = waiting.popleft()
        while not future.done():  # on Windows, Ctrl-C does not end a wait without a limit
            wait([future], timeout=_PATIENCE)
        error = future.exception()
        return partition, future.result() if error is None else error

    pool = ThreadPoolExecutor(_AHEAD)
    try:
        for partition in partitions:
            waiting.append((partition, pool.submit(task, partition)))
            if len(waiting) > _AHEAD:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def connected(cluster: Any) -> Iterator[Any]:
    """Yield a Dask client of a cluster, and close what was opened for it.

    Args:
        cluster: "local", or "local:4" for as many worker processes; the address of a scheduler,
            such as "tcp://10.0.0.1:8786"; a Dask client; or a cluster object of Dask's.

    Raises:
        GazeError: dask[distributed] is not installed, the address is none, nobody answers there,
            or Dask cannot start what was asked for.

    """
    try:
        # Large, and needed for clusters alone.
        import dask  # noqa: PLC0415

        if dask.config.get("logging", None) is None:
            dask.config.set({"logging": _QUIET})
        import distributed  # noqa: PLC0415
    except ImportError as error:
        msg = lacking("a cluster", "dask[distributed]", "cluster")
        raise GazeError(msg) from error
    if isinstance(cluster, distributed.Client):
        yield cluster
        return
    with contextlib.ExitStack() as stack:
        if isinstance(cluster, str) and cluster.partition(":")[0] == "local":
            cluster = stack.enter_context(_local(distributed, cluster))
        try:
            if isinstance(cluster, str):
                _check_address(distributed, cluster)
            client = distributed.Client(cluster, set_as_default=False)
        except GazeError:
            raise
        except Exception as error:  # of any kind: each way of communication has its own
            reason = first_line(error)
            msg = f"{cluster}: no scheduler can be reached ({reason}); start one: dask scheduler"
            raise GazeError(msg) from error
        stack.callback(_closed, client)
        yield client


@contextlib.contextmanager
def _local(distributed: Any, cluster: str) -> Iterator[Any]:
    """Yield a cluster of processes on this machine."""
    number = cluster.partition(":")[2]
    if number and not (number.isdecimal() and int(number)):
        msg = f"{cluster}: name a number of processes, such as local:2"
        raise GazeError(msg)
    before = set(os.environ)
    try:
        started = distributed.LocalCluster(
            n_workers=int(number or usable_cpus()), threads_per_worker=1, processes=True,
            dashboard_address=":0", silence_logs=logging.CRITICAL,
        )  # fmt: skip
    except Exception as error:  # as in `connected`
        first: BaseException = error
        while first.__cause__ is not None:  # Dask says of the others that something failed
            first = first.__cause__
        msg = f"{cluster}: cannot be started ({first_line(first)})"
        raise GazeError(msg) from error
    with started as found:
        # Dask sets variables in this process for those that it starts. OPENBLAS_NUM_THREADS=1 would
        # change the last digits of what is started later.
        added = os.environ.keys() - before
        try:
            yield found
        finally:
            for name in added:
                os.environ.pop(name, None)


def _check_address(distributed: Any, cluster: str) -> None:
    """Make sure that a Dask client can begin; one that cannot waits a minute to be closed.

    Raises:
        ValueError: the address is none; Dask may raise something else, too.
        GazeError: it has no "://"; it calls for certificates, and Dask's configuration has none;
            or that calls for encryption, and the address does not.

    """
    if "://" not in cluster:
        msg = f"{cluster}: is no cluster; name local, local:N, tcp://HOST:PORT or tls://..."
        raise GazeError(msg)
    with warnings.catch_warnings():
        # Of what it no longer has, Dask warns and then raises the warning.
        warnings.simplefilter("ignore", FutureWarning)
        distributed.comm.get_address_host(cluster)
    how = distributed.Security().get_connection_args("client")
    if cluster.startswith("tcp://") and how.get("require_encryption"):
        msg = f"{cluster}: Dask's configuration requires encryption; name a tls:// address"
        raise GazeError(msg)
    if cluster.startswith("tls://") and how.get("ssl_context") is None:
        names = ", ".join(f"{_TLS}__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY"))
        msg = f"{cluster}: needs certificates; name their files in {names}"
        raise GazeError(msg)


def _closed(client: Any) -> None:
    with contextlib.suppress(Exception):  # its scheduler may be gone
        client.close()


def check(client: Any, task: Callable[[Job], object], job: Job) -> None:
    """Run a check on all workers.

    Raises:
        ModelError: it fails on some; the message names them.

    """
    found = client.run(task, job, on_error="return")
    wrong = {name: each for name, each in found.items() if isinstance(each, BaseException)}
    if wrong:
        reasons = "; ".join(f"worker {name} {error}" for name, error in wrong.items())
        msg = f"{len(wrong)} of {len(found)} workers cannot be used: {reasons}"
        raise ModelError(msg)


def on_cluster(
    client: Any,
    task: Callable[..., Outcome],
    common: Any,
    partitions: Iterable[Partition],
) -> Iterator[Done]:
    """Yield partitions with what a task made of them, or what it raised, as they get done.

    Dask decides where a task runs, and runs it again where its worker is lost or it fails.

    Args:
        client: of the cluster.
        task: called with a partition and what is common.
        common: what every worker gets once.
        partitions: asked for as they are worked on; there are twice as many under way as the
            workers have threads.

    Raises:
        BrokenOffError: the scheduler is gone.

    """
    import dask  # noqa: PLC0415 - as in `connected`
    from distributed import as_completed  # noqa: PLC0415

    # The result of a task is made again where all workers that have it are lost; what is
    # scattered is not.
    shared = None
    if common is not None:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            shared = client.submit(_unpacked, _packed(common), retries=_RETRIES, pure=False)
    done = as_completed(loop=client.loop)
    under_way: dict[Any, Partition] = {}
    room = 0

    def first() -> Done:
        future = next(done)
        partition = under_way.pop(future)
        if future.status == "finished":
            return partition, future.result()
        error = future.exception() if future.status == "error" else None
        if error is None or client.status != "running":
            raise _lost(client)
        return partition, error

    try:
        for partition in partitions:
            future = client.submit(
                _called, _packed((task, partition)), shared,
                key=f"clip-gaze-{partition.file}", retries=_RETRIES, pure=False,
            )  # fmt: skip
            under_way[future] = partition
            done.add(future)
            del future
            while len(under_way) >= room:
                # Workers come and go.
                room = _AHEAD * max(1, sum(client.nthreads().values()))
                if len(under_way) >= room:
                    yield first()
        while under_way:
            yield first()
    except OSError as error:  # what was asked of the scheduler
        raise _lost(client) from error
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            client.cancel(list(under_way), force=True)


def _packed(what: object) -> bytes:
    """Return an object as bytes.

    A scheduler would have it as an object, many times as large, and its log of messages keeps the
    last thousand for each worker.
    """
    from distributed.protocol import pickle  # noqa: PLC0415 - as in `connected`

    return zlib.compress(pickle.dumps(what))


def _unpacked(content: bytes) -> Any:
    from distributed.protocol import pickle  # noqa: PLC0415 - as in `connected`

    return pickle.loads(zlib.decompress(content))


def _called(content: bytes, common: Any) -> Outcome:
    """Call a task in a worker."""
    task, partition = _unpacked(content)
    outcome: Outcome = task(partition, common)
    return outcome


def _lost(client: Any) -> BrokenOffError:
    where = getattr(client.scheduler, "address", "of the cluster")
    return BrokenOffError(f"the scheduler {where} is gone; start it, and go on with --resume")
