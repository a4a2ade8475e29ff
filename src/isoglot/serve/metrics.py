"""What the service counts, as Prometheus text. No query and no id of a passage is ever a label."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from isoglot.serve.searches import Found

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERIES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service, apart from those of others in the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "isoglot_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "isoglot_request_seconds",
            "From the request's first line to the answer's last byte.",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._queries = Counter(
            "isoglot_queries", "Queries searched for.", ["policy"], registry=registry
        )
        self._results = Counter(
            "isoglot_results", "Passages returned.", ["language", "policy"], registry=registry
        )
        self._batches = Histogram(
            "isoglot_batch_queries",
            "Queries encoded and searched together.",
            buckets=_QUERIES,
            registry=registry,
        )
        self._errors = Counter("isoglot_errors", "Faults.", ["kind"], registry=registry)
        self._waiting = Gauge(
            "isoglot_waiting_queries", "Queries that wait for their turn.", registry=registry
        )
        self._passages = Gauge(
            "isoglot_index_passages", "Passages in the index.", ["language"], registry=registry
        )
        self._generation = Gauge(
            "isoglot_index_generation", "Counts the openings of the index.", registry=registry
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; ``path`` is one of the service's own, never what a client sent."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def found(self, answers: Sequence[Sequence[Found]], policy: str) -> None:
        """Count the passages of some queries."""
        self._queries.labels(policy).inc(len(answers))
        counts = collections.Counter(hit.lang for answer in answers for hit in answer)
        for lang, count in counts.items():
            self._results.labels(lang, policy).inc(count)

    def batched(self, queries: int) -> None:
        """Count a batch."""
        self._batches.observe(queries)

    def failed(self, kind: str) -> None:
        """Count a fault, by one of a few words."""
        self._errors.labels(kind).inc()

    def opened(self, sizes: Mapping[str, int], generation: int) -> None:
        """Note what the index holds."""
        self._passages.clear()
        for lang, size in sizes.items():
            self._passages.labels(lang).set(size)
        self._generation.set(generation)

    def text(self, waiting: int) -> bytes:
        """Return everything in the text format of Prometheus."""
        self._waiting.set(waiting)
        return generate_latest(self._registry)
