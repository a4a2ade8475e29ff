"""The application: the API's paths, the page, and the guards around them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence

from fastapi import APIRouter, FastAPI, Security
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from isoglot import __version__
from isoglot.config.search import POLICIES, Policy
from isoglot.config.serve import ServeConfig
from isoglot.serve.answering import (
    agreement,
    compared,
    language_counts,
    language_facts,
    search_answer,
)
from isoglot.serve.guards import BodyGuard, HeaderGuard, HostGuard, KeyGuard, Watch
from isoglot.serve.messages import (
    CompareAnswer,
    CompareRequest,
    IndexAnswer,
    Limits,
    PolicyAnswer,
    Question,
    QuestionsAnswer,
    SearchAnswer,
    SearchRequest,
    State,
)
from isoglot.serve.metrics import METRICS_TYPE
from isoglot.serve.page import page_router
from isoglot.serve.problems import DOCUMENTED, add_handlers
from isoglot.serve.searches import Searches
from isoglot.serve.service import Service

__all__ = ["create_app"]

_POLICIES: dict[Policy, tuple[str, str]] = {
    "score": (
        "By score",
        "One ranking by similarity. Languages the model finds easier can crowd out the others.",
    ),
    "balanced": (
        "Balanced",
        "The more passages of a language are in, the more similar its next one must be.",
    ),
    "quota": ("Quota", "Every language gets its places, whatever it has to offer."),
}


def create_app(
    searcher: Searches,
    *,
    encoder: str,
    config: ServeConfig | None = None,
    key: str | None = None,
    hosts: Collection[str] | None = None,
    questions: Sequence[Question] = (),
) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        searcher: What is searched; called from one thread at a time.
        encoder: Name of the model that encodes, for people.
        config: Limits and defaults.
        key: API key that clients must send; default: none needed.
        hosts: Host names to answer to; default: any.
        questions: Examples the page offers.
    """
    config = config or ServeConfig()
    service = Service(searcher, encoder, config, questions)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.run():
            yield

    app = FastAPI(
        title="isoglot",
        version=__version__,
        description="Search in passages of many languages, with a say in how languages share the "
        "answer.",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    add_handlers(app)
    needs_key = [Security(HTTPBearer(auto_error=False)), Security(_HEADER)] if key else []
    keyed, free = (_answers(service), _facts(service)), (_states(service), page_router())
    for router in keyed:
        app.include_router(router, dependencies=needs_key)
    for router in free:
        app.include_router(router)
    # The last one added is the first one asked.
    app.add_middleware(BodyGuard, seconds=config.request_s)
    if key:
        app.add_middleware(KeyGuard, key=key)
    if hosts is not None:
        app.add_middleware(HostGuard, hosts=hosts)
    routes = (route for router in (*keyed, *free) for route in router.routes)
    paths = {route.path for route in routes if isinstance(route, APIRoute)}
    app.add_middleware(Watch, service=service, paths={*paths, "/openapi.json"})
    app.add_middleware(HeaderGuard)
    return app


_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)


def _answers(service: Service) -> APIRouter:
    """Return the paths that search."""
    router = APIRouter(responses=DOCUMENTED["post"], tags=["search"])

    @router.post("/search", summary="Search in all languages, or in some")
    async def search(request: SearchRequest) -> SearchAnswer:
        """Return the passages that answer a query best, under a policy."""
        config = service.search_config(request)
        (found,), seconds = await service.find([request.query], config)
        return search_answer(found, request.query_language, config.policy, seconds)

    @router.post("/compare", summary="Search with a question's translations, side by side")
    async def compare(request: CompareRequest) -> CompareAnswer:
        """Return the passages of every query, and what the answers have in common."""
        config = service.search_config(request)
        texts = [query.query for query in request.queries]
        found, seconds = await service.find(texts, config)
        pairs = zip(request.queries, found, strict=True)
        answers = [compared(query, hits) for query, hits in pairs]
        return CompareAnswer(
            answers=answers,
            agreement=agreement([[one.doc_id for one in answer.results] for answer in answers]),
            policy=config.policy,
            took_ms=round(seconds * 1000, 2),
        )

    return router


def _facts(service: Service) -> APIRouter:
    """Return the paths that say what is searched and what was done."""
    router = APIRouter(responses=DOCUMENTED["get"], tags=["facts"])

    @router.get("/index", summary="Languages, encoder, policies and limits")
    async def index() -> IndexAnswer:
        """Say what is searched, and how."""
        sizes = dict(sorted(service.sizes.items()))
        return IndexAnswer(
            languages=language_counts(sizes),
            passages=sum(sizes.values()),
            encoder=service.encoder,
            has_words=service.searcher.has_words,
            policies=[
                PolicyAnswer(policy=policy, name=name, meaning=meaning)
                for policy in POLICIES
                for name, meaning in [_POLICIES[policy]]
            ],
            default_policy=service.config.policy,
            limits=Limits(),
            generation=service.generation,
            version=__version__,
        )

    @router.get("/questions", summary="Example questions with their translations")
    async def questions() -> QuestionsAnswer:
        """Return examples to try; there may be none."""
        langs = sorted({lang for question in service.questions for lang in question.text})
        return QuestionsAnswer(
            questions=service.questions, languages=[language_facts(lang) for lang in langs]
        )

    @router.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses={200: {"content": {METRICS_TYPE: {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Return requests, times, results by language and faults; no texts."""
        return Response(service.metrics.text(service.batcher.waiting), media_type=METRICS_TYPE)

    return router


def _states(service: Service) -> APIRouter:
    """Return the paths that say whether the service is there; they need no key."""
    router = APIRouter(
        responses={code: DOCUMENTED["get"][code] for code in (403, 500)}, tags=["state"]
    )

    @router.get("/health", summary="Is the process alive?")
    async def health() -> State:
        """Answer as long as the process can."""
        return State(status="ok")

    @router.get(
        "/ready",
        summary="Can it answer now?",
        responses={503: {"model": State, "description": "Not yet, or not any more"}},
    )
    async def ready() -> JSONResponse:
        """Answer 200 if a search would be answered, 503 while starting and stopping."""
        status, code = ("ok", 200) if service.running else ("starting", 503)
        return JSONResponse({"status": status}, code)

    return router
