"""Where the clips of a corpus are processed: on the cores of this machine (joblib), or on a Ray cluster.

Results come as they are ready. With Ray, every machine needs the code, the corpus and ``GENEFACE_ROOT`` under the same
paths (a shared file system); ``RAY_ADDRESS`` names the cluster, without it one is started on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from utils.commons.schema import ConfigError
from utils.data.paths import CODE_ROOT, work_root

Executor = Literal["joblib", "ray"]
_A = TypeVar("_A")
_R = TypeVar("_R")
_IN_FLIGHT = 4
"""Jobs waiting for each Ray core: enough to keep it busy, few enough that memory does not grow with the corpus."""


def run_all(
    job: Callable[[_A], _R], items: Sequence[_A], *, executor: Executor = "joblib", num_workers: int = 0
) -> Iterator[_R]:
    """Yield the results of ``job`` for every item, in no particular order.

    Args:
        job: A function of a module, of one item.
        items: Anything that can be pickled.
        executor: ``joblib`` or ``ray``.
        num_workers: Processes; 0 takes all cores. A running Ray cluster decides itself.

    Raises:
        ConfigError: Ray is not installed.
    """
    if executor == "ray":
        return _by_ray(job, items, num_workers)
    import joblib

    count = max(1, min(num_workers or len(os.sched_getaffinity(0)), len(items)))
    parallel = joblib.Parallel(n_jobs=count, backend="loky", return_as="generator_unordered")
    results: Iterator[_R] = parallel(joblib.delayed(job)(item) for item in items)
    return results


def _by_ray(job: Callable[[_A], _R], items: Sequence[_A], num_workers: int) -> Iterator[_R]:
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--executor ray needs Ray: pip install -r requirements-extra.txt, or use joblib") from error
    started = not ray.is_initialized()
    if started:
        _connect(ray, num_workers)
    try:
        remote = ray.remote(num_cpus=1)(job)
        waiting: list[Any] = []
        most = _IN_FLIGHT * max(1, int(ray.cluster_resources().get("CPU", 1)))
        for item in items:
            if len(waiting) >= most:
                done, waiting = ray.wait(waiting)
                yield from ray.get(done)
            waiting.append(remote.remote(item))
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from ray.get(done)
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, num_workers: int) -> None:
    """Join the cluster of RAY_ADDRESS, or start one on this machine; workers find code and data where we do."""
    search = os.pathsep.join(filter(None, [str(CODE_ROOT), os.environ.get("PYTHONPATH", "")]))
    variables = {"GENEFACE_ROOT": str(work_root()), "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    options: dict[str, Any] = {"runtime_env": {"env_vars": variables}, "log_to_driver": False}
    if not os.environ.get("RAY_ADDRESS"):
        options |= {"num_cpus": num_workers or len(os.sched_getaffinity(0)), "include_dashboard": False}
    ray.init(**options)
