"""Requests made up from the OpenAPI description, right and wrong: all answers are as described."""

import copy

import pytest
from hypothesis import HealthCheck, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from isoglot.serve.app import create_app  # noqa: E402
from tests.serve.library import QUESTIONS, Library  # noqa: E402
from tests.serve.running import running  # noqa: E402

APP = create_app(Library(), encoder="mini", questions=QUESTIONS)
LEAKS = ("/work", "/tmp", "site-packages", "Traceback", ".py", "/home", "/usr")
EXAMPLES = settings(
    max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def url():
    with running(APP) as url:
        yield url.rstrip("/")


def narrowed(description):
    """Name the languages that the index has, so that more requests come through to the search."""
    narrow = copy.deepcopy(description)
    for name in ("SearchRequest", "CompareRequest"):
        wanted = narrow["components"]["schemas"][name]["properties"]
        (langs,) = (kind for kind in wanted["languages"]["anyOf"] if kind.get("type") == "array")
        langs["items"] = {"type": "string", "enum": list(Library().sizes)}
        wanted["quota"] = wanted["balance"] = {"type": "null"}
    return narrow


def check(case, url):
    # The languages of the index and the union of policy and quota are not in the description.
    answer = case.call_and_validate(base_url=url, excluded_checks=[positive_data_acceptance])
    assert answer.status_code < 500
    assert not [leak for leak in LEAKS if leak in answer.text]


@schemathesis.openapi.from_dict(APP.openapi()).parametrize()
@EXAMPLES
def test_every_answer_is_as_described_and_leaks_nothing(case, url):
    check(case, url)


@schemathesis.openapi.from_dict(narrowed(APP.openapi())).include(method="POST").parametrize()
@EXAMPLES
def test_so_are_the_answers_of_the_search(case, url):
    check(case, url)
