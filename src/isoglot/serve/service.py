"""What the paths of the API share: the search, its index as it is now, and the counters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from isoglot.config.search import SearchConfig
from isoglot.config.serve import ServeConfig
from isoglot.errors import ArtifactError, IsoglotError
from isoglot.serve.batching import Batcher, OverloadedError
from isoglot.serve.messages import CompareRequest, Question, SearchRequest
from isoglot.serve.metrics import Metrics
from isoglot.serve.problems import ProblemError
from isoglot.serve.searches import Found, Searches

__all__ = ["LOG", "Service"]

LOG = logging.getLogger("isoglot.serve")


class Service:
    """A search, and what is known about it.

    Args:
        searcher: What is searched.
        encoder: Name of the model that encodes, for people.
        config: Limits and defaults.
        questions: Examples the page offers.
    """

    def __init__(
        self, searcher: Searches, encoder: str, config: ServeConfig, questions: Sequence[Question]
    ) -> None:
        self.searcher = searcher
        self.encoder = _public_name(encoder)
        self.config = config
        self.questions = list(questions)
        self.metrics = Metrics()
        self.generation = 1
        self.running = False
        self.batcher = Batcher(
            searcher,
            most_waiting=config.most_waiting,
            batch=config.batch,
            observe=self.metrics.batched,
        )
        self.sizes: Mapping[str, int] = {}
        self._opened(searcher.sizes)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Answer, and look for newer indexes, as long as the context lasts."""
        tasks = [asyncio.create_task(work) for work in (self.batcher.run(), self._keep_fresh())]
        self.running = True
        try:
            yield
        finally:
            self.running = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.batcher.close()

    def search_config(self, request: SearchRequest | CompareRequest) -> SearchConfig:
        """Return how a request wants to be answered.

        Raises:
            ProblemError: If the index cannot answer so.
        """
        policy = request.policy or self.config.policy
        for field, owner in (("quota", "quota"), ("balance", "balanced")):
            if getattr(request, field) is not None and policy != owner:
                raise ProblemError(
                    422,
                    f"{field} is for policy {owner}, and the policy is {policy}",
                    "leave one of them out",
                )
        if request.words and not self.searcher.has_words:
            raise ProblemError(
                422, "words: the index has no words", "leave it out, or build the index with words"
            )
        self._check_languages("languages", request.languages or ())
        if isinstance(request.quota, dict):
            self._check_languages("quota", tuple(request.quota))
            left_out = set(request.quota).difference(request.languages or self.sizes)
            if left_out:
                raise ProblemError(
                    422,
                    f"quota: languages does not have {', '.join(sorted(left_out))}",
                    "name the same languages in both, or leave languages out",
                )
        wanted = request.model_dump(include=set(SearchConfig.model_fields), exclude_none=True)
        return SearchConfig(**{**wanted, "policy": policy})

    async def find(
        self, queries: Sequence[str], config: SearchConfig
    ) -> tuple[Sequence[Sequence[Found]], float]:
        """Return the passages of every query, and the seconds it took.

        Raises:
            ProblemError: If too many queries wait, the answer takes too long, or there is none.
        """
        if self.config.log_queries:
            for query in queries:
                LOG.info("query %s %s", config.policy, json.dumps(query))
        if not self.sizes:
            return [[] for _ in queries], 0.0
        started = time.perf_counter()
        try:
            answers = await asyncio.wait_for(
                self.batcher.search(queries, config), self.config.answer_s
            )
        except OverloadedError:
            self.metrics.failed("overloaded")
            raise ProblemError(503, "too many queries wait for their turn") from None
        except ArtifactError as error:
            LOG.warning("the index cannot be read: %s", error)
            self.metrics.failed("index")
            raise ProblemError(503, "the index cannot be read now") from None
        except IsoglotError as error:
            # Such as a language that is gone since the request was checked. The message may hold
            # the query, which is not for the log.
            LOG.warning("a search was refused: %s", type(error).__name__)
            self.metrics.failed("refused")
            raise ProblemError(
                422, "the index cannot answer this as it is asked", "/index says what it holds"
            ) from None
        except asyncio.TimeoutError:
            self.metrics.failed("late")
            raise ProblemError(503, "the search took too long") from None
        self.metrics.found(answers, config.policy)
        return answers, time.perf_counter() - started

    async def _keep_fresh(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self.config.refresh_s)
            try:
                newer, sizes = await self.batcher.between(self._look)
                if newer or sizes != self.sizes:
                    self.generation += 1
                    self._opened(sizes)
                    LOG.info("the index has changed: %d passages", sum(sizes.values()))
                failing = False
            except Exception as error:
                # The index that is open goes on serving; say so once, not every second.
                if not failing:
                    LOG.warning("a newer index cannot be opened: %s", error)
                self.metrics.failed("refresh")
                failing = True

    def _look(self) -> tuple[bool, Mapping[str, int]]:
        """Look for a newer index, and count its passages; both may take their time."""
        return self.searcher.refresh(), dict(self.searcher.sizes)

    def _opened(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.metrics.opened(self.sizes, self.generation)

    def _check_languages(self, field: str, wanted: Sequence[str]) -> None:
        missing = [lang for lang in wanted if lang not in self.sizes]
        if missing:
            raise ProblemError(
                422,
                f"{field}: the index has no passages in {', '.join(missing[:5])}",
                f"allowed: {', '.join(self.sizes)}",
            )


def _public_name(encoder: str) -> str:
    """Return a hub name as it is, of a folder the last part: its path is nobody's business."""
    parts = [part for part in encoder.replace("\\", "/").split("/") if part]
    on_hub = len(parts) == 2 and parts[0] not in (".", "..", "~") and encoder[0] not in "/\\"
    return "/".join(parts) if on_hub else parts[-1] if parts else "encoder"
