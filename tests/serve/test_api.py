"""What the API answers."""

import json
import threading
import time

import pytest

from isoglot.config.serve import (
    ALL_COMPARED,
    BODY_BYTES,
    MOST_COMPARED,
    QUERY_CHARACTERS,
    ServeConfig,
)
from isoglot.errors import ArtifactError, ConfigError
from tests.serve.library import QUESTIONS, TEXTS, Library

YOGHURT = QUESTIONS[0].text
JSON = {"content-type": "application/json"}


def search(client, query=YOGHURT["en"], **wanted):
    answer = client.post("/search", json={"query": query, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def test_a_search_names_rank_language_and_direction_of_every_passage(client):
    answer = search(client(), k=3, query_language="en")
    assert [result["doc_id"] for result in answer["results"]] == [
        "yoghurt-en",
        "yoghurt-yo",
        "yoghurt-sw",
    ]
    first = answer["results"][0]
    assert first["text"] == TEXTS["yoghurt"]["en"]
    assert (first["rank"], first["language"], first["name"]) == (1, "en", "English")
    assert first["direction"] == "ltr"
    assert first["score"] == first["similarity"] > answer["results"][1]["score"]
    assert answer["own_language"] == 1
    assert answer["took_ms"] > 0


def test_scripts_from_right_to_left_are_said_to_be_so(client):
    results = search(client(), YOGHURT["fa"], languages=["ar", "fa"])["results"]
    assert {result["direction"] for result in results} == {"rtl"}
    assert {result["name"] for result in results} == {"Arabic", "Persian"}


def test_texts_of_unknown_language_have_the_direction_of_what_they_say(client, library):
    library.newer = {"one": {"und": "مرحبا", "en": "hello"}}
    library.refresh()
    results = search(client())["results"]
    assert {one["language"]: one["direction"] for one in results} == {"und": "auto", "en": "ltr"}


def test_results_are_counted_by_language_most_first(client):
    answer = search(client(), k=30)
    counts = [(count["language"], count["passages"]) for count in answer["languages"]]
    assert counts == [(lang, 3) for lang in sorted(TEXTS["moon"])]
    assert answer["own_language"] is None


def test_policies_languages_and_quotas_reach_the_search(client):
    client = client(config=ServeConfig(policy="balanced"))
    answer = search(client)
    assert answer["policy"] == "balanced"
    assert any(result["score"] < result["similarity"] for result in answer["results"])
    answer = search(client, policy="quota", quota={"en": 1, "zh-Hans": 2}, languages=["eng", "zh"])
    counts = {count["language"]: count["passages"] for count in answer["languages"]}
    assert counts == {"en": 1, "zh": 2}


def test_translations_are_compared_side_by_side(client):
    queries = [{"language": lang, "query": text} for lang, text in YOGHURT.items()]
    answer = client().post("/compare", json={"queries": queries, "k": 3}).json()
    assert [one["query_language"] for one in answer["answers"]] == list(YOGHURT)
    assert [one["query"] for one in answer["answers"]] == list(YOGHURT.values())
    shared = {one["doc_id"]: one["queries"] for one in answer["agreement"]["shared"]}
    for doc_id, numbers in shared.items():
        holders = [
            number
            for number, one in enumerate(answer["answers"])
            if doc_id in [result["doc_id"] for result in one["results"]]
        ]
        assert numbers == holders
    assert answer["agreement"]["overlap"] > 0


def test_the_queries_of_a_comparison_are_searched_together(client, library):
    queries = [{"query": text} for text in YOGHURT.values()]
    client().post("/compare", json={"queries": queries})
    assert library.batches == [list(YOGHURT.values())]


def test_the_index_is_described(client):
    answer = client(encoder="/models/my-encoder/").get("/index").json()
    assert answer["languages"][0] == {
        "language": "ar",
        "name": "Arabic",
        "direction": "rtl",
        "passages": 3,
    }
    assert answer["passages"] == 30
    assert answer["encoder"] == "my-encoder"
    assert [policy["policy"] for policy in answer["policies"]] == ["score", "balanced", "quota"]
    assert answer["limits"] == {
        "results": 1000,
        "query_characters": QUERY_CHARACTERS,
        "compared": MOST_COMPARED,
        "compared_results": ALL_COMPARED,
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("intfloat/multilingual-e5-small", "intfloat/multilingual-e5-small"),
        ("mini", "mini"),
        ("runs/hybrid/train", "train"),
        ("./model", "model"),
        ("/model", "model"),
        ("C:\\models\\mine", "mine"),
    ],
)
def test_the_path_of_an_encoder_is_nobodys_business(client, given, shown):
    assert client(encoder=given).get("/index").json()["encoder"] == shown


def test_example_questions_come_with_their_languages(client):
    answer = client().get("/questions").json()
    assert answer["questions"][0]["text"] == YOGHURT
    assert {lang["language"] for lang in answer["languages"]} == {
        lang for question in QUESTIONS for lang in question.text
    }


def test_the_service_says_whether_it_is_there(client):
    one = client()
    assert one.get("/health").json() == one.get("/ready").json() == {"status": "ok"}


def test_it_is_not_ready_before_it_was_started(library):
    from fastapi.testclient import TestClient

    from isoglot.serve.app import create_app

    one = TestClient(create_app(library, encoder="mini"))  # not entered: no start-up
    assert one.get("/health").status_code == 200
    answer = one.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "starting"})


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"k": 0}, "k: should be greater than or equal to 1"),
        ({"k": 10**100}, "k: should be less than or equal to 1000"),
        ({"k": "5"}, "k: should be a valid integer"),
        ({"words": 1}, "words: should be a valid boolean"),
        ({"query": " \n"}, "query: has no words"),
        ({"query": "x" * 2001}, "query: should have at most 2000 characters"),
        ({"languages": []}, "languages: should have at least 1 item after validation, not 0"),
        ({"languages": ["fr"]}, "languages: the index has no passages in fr"),
        ({"languages": ["klingon"]}, "languages.0: is no language; use an ISO 639-1 code such as"),
        ({"policy": "fair"}, "policy: should be 'score', 'balanced' or 'quota'"),
        ({"balance": 0.5}, "balance is for policy balanced, and the policy is score"),
        ({"policy": "balanced", "balance": 0}, "balance: should be greater than 0"),
        ({"quota": 2}, "quota is for policy quota, and the policy is score"),
        ({"policy": "quota", "quota": {"fr": 1}}, "quota: the index has no passages in fr"),
        (
            {"policy": "quota", "quota": {"sw": 1}, "languages": ["en"]},
            "quota: languages does not have sw",
        ),
        ({"/tmp/x": 1}, "body: there is a field that is not known"),
    ],
)
def test_what_is_not_allowed_is_explained(client, library, wanted, said):
    answer = client().post("/search", json={"query": "q", **wanted})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)
    assert answer.json()["help"]
    assert "/tmp" not in answer.text
    assert library.batches == []


def test_an_unknown_language_comes_with_those_there_are(client):
    answer = client().post("/search", json={"query": "q", "languages": ["fr"]}).json()
    assert answer["help"] == "allowed: ar, en, fa, hi, ja, ko, sw, th, yo, zh"


def test_words_are_refused_by_an_index_without(client, library):
    library.has_words = False
    answer = client().post("/search", json={"query": "q", "words": True})
    assert answer.status_code == 422
    assert answer.json()["error"] == "words: the index has no words"


def test_too_many_queries_to_compare_are_refused(client):
    queries = [{"query": "q"}] * (MOST_COMPARED + 1)
    answer = client().post("/compare", json={"queries": queries})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("queries: should have at most 12 items")


def test_a_comparison_is_limited_as_a_whole(client):
    one = client()
    most = ALL_COMPARED // MOST_COMPARED
    for k, status in ((most, 200), (most + 1, 422)):
        answer = one.post("/compare", json={"queries": [{"query": "q"}] * MOST_COMPARED, "k": k})
        assert answer.status_code == status
    assert answer.json()["error"] == "body: 12 queries and k 201 are 2,412 passages; allowed: 2,400"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[1]",
        '"text"',
        "null",
        b"\xff\xfe{",
        "[" * 60_000,
        '{"query":' * 5_000,
        '{"query":"a","k":' + "9" * 5_000 + "}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_object_is_a_bad_request(client, body):
    answer = client().post("/search", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["help"].startswith("send one JSON object")


@pytest.mark.parametrize(
    "body",
    [
        '{"query": "\\ud800"}',
        '{"query": "a", "k": NaN}',
        '{"query": "a", "k": 1e400}',
        '{"query": {"$ne": null}}',
        '{"query": "a", "languages": ["\\ud800"]}',
        '{"query": "a", "\\ud800": 1}',
        '{"query": "a", "policy": "quota", "quota": {"\\ud800": 1}}',
    ],
)
def test_values_that_json_can_write_and_no_text_can_hold_are_refused(client, body):
    answer = client().post("/search", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error", "help"}


def test_texts_of_another_type_are_not_read(client):
    answer = client().post(
        "/search", content='{"query": "a"}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 400


def test_halves_of_characters_in_passages_can_be_sent(client, library):
    library.newer = {"broken \ud83d": {"en": "half \ud83d of a face"}}
    library.refresh()
    one = client()
    (result,) = search(one)["results"]
    assert (result["doc_id"], result["text"]) == ("broken ?-en", "half ? of a face")
    answer = one.post("/compare", json={"queries": [{"query": "a"}, {"query": "b"}]}).json()
    assert answer["agreement"]["shared"] == [{"doc_id": "broken ?-en", "queries": [0, 1]}]


@pytest.mark.parametrize("body", [b"x" * (BODY_BYTES + 1), b"x" * 3_000_000])
def test_large_bodies_are_refused(client, body):
    answer = client().post("/search", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (413, "the body is too large")


def test_large_bodies_in_chunks_are_refused(client):
    answer = client().post("/search", content=(b"x" * 1000 for _ in range(70)), headers=JSON)
    assert answer.status_code == 413


def test_unknown_paths_and_methods_have_the_form_of_all_errors(client):
    one = client()
    for answer, status in (
        (one.get("/nowhere"), 404),
        (one.get("/docs"), 404),
        (one.get("/redoc"), 404),
        (one.get("/assets/..%2fapp.py"), 404),
        (one.get("/assets/index.html"), 404),
        (one.get("/index/"), 404),
        (one.get("/search"), 405),
        (one.put("/index"), 405),
    ):
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "help"}


def test_a_fault_is_told_without_details_and_logged_with_them(client, library, caplog):
    library.fail_on = "q"
    one = client()
    answer = one.post("/search", json={"query": "q"})
    assert (answer.status_code, answer.json()["error"]) == (500, "the service failed to answer")
    assert "secret" not in answer.text and "Traceback" not in answer.text
    assert "/tmp/secret" in caplog.text
    assert 'isoglot_errors_total{kind="fault"} 1.0' in one.get("/metrics").text
    assert search(one, "another")["results"]


def test_what_an_index_cannot_answer_is_told_without_its_words(client, library, caplog):
    library.error = ConfigError("/tmp/index: no passages for 'a private question'")
    answer = client().post("/search", json={"query": "a private question"})
    assert answer.status_code == 422
    assert answer.json()["error"] == "the index cannot answer this as it is asked"
    assert "/tmp" not in answer.text
    assert "ConfigError" in caplog.text and "private" not in caplog.text


def test_an_index_that_cannot_be_read_is_no_fault_of_the_request(client, library, caplog):
    library.error = ArtifactError("http://10.0.0.1: no Milvus answers there")
    one = client()
    answer = one.post("/search", json={"query": "q"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"] == "the index cannot be read now"
    assert "no Milvus answers there" in caplog.text
    assert 'isoglot_errors_total{kind="index"} 1.0' in one.get("/metrics").text


def test_an_index_without_passages_finds_nothing(client, library):
    library.newer = {}
    library.refresh()
    one = client()
    assert search(one)["results"] == []
    answer = one.post("/compare", json={"queries": [{"query": "a"}, {"query": "b"}]}).json()
    assert [own["results"] for own in answer["answers"]] == [[], []]


def test_passages_are_counted_by_the_thread_that_searches():
    # A count may ask a server elsewhere; requests do not wait for it.
    from fastapi.testclient import TestClient

    from isoglot.serve.app import create_app

    class Counted(Library):
        counted_by = ()

        @property
        def sizes(self):
            self.counted_by = (*self.counted_by, threading.current_thread().name)
            return self._sizes

        @sizes.setter
        def sizes(self, sizes):
            self._sizes = sizes

    library = Counted()
    app = create_app(library, encoder="mini", config=ServeConfig(refresh_s=0.02))
    library.counted_by = ()
    with TestClient(app) as one:
        one.get("/index")
        search(one, languages=["en"])
        wait_until(lambda: library.counted_by)
        library.sizes = {"en": 3}  # by somebody else, without a newer index to open
        wait_until(lambda: one.get("/index").json()["passages"] == 3)
        assert one.get("/index").json()["generation"] == 2
    assert {name.partition("_")[0] for name in library.counted_by} == {"search"}


def test_a_search_that_takes_too_long_is_given_up(client, library):
    library.hold.clear()
    one = client(config=ServeConfig(answer_s=0.05))
    answer = one.post("/search", json={"query": "q"})
    library.hold.set()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"] == "the search took too long"
    assert search(one)["results"]


def test_with_too_much_to_do_it_says_so_and_recovers(client, library):
    library.hold.clear()
    one = client(config=ServeConfig(most_waiting=2))
    statuses = []

    def ask():
        statuses.append(one.post("/search", json={"query": "q"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads[0].start()
    wait_until(lambda: library.batches)  # one is at work
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: statuses.count(503) == 3)  # two wait
    library.hold.set()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 503, 503, 503]
    assert search(one)["results"]


def test_a_newer_index_is_opened_while_it_runs(client, library):
    one = client(config=ServeConfig(refresh_s=0.02))
    library.newer = {"moon": TEXTS["moon"]}
    wait_until(lambda: one.get("/index").json()["passages"] == 10)
    assert one.get("/index").json()["generation"] == 2
    assert {result["doc_id"][:4] for result in search(one)["results"]} == {"moon"}
    assert 'isoglot_index_passages{language="ar"} 1.0' in one.get("/metrics").text


def test_an_index_that_cannot_be_opened_anew_goes_on_serving(client, library, caplog):
    one = client(config=ServeConfig(refresh_s=0.05))
    library.refresh_error = ArtifactError("/tmp/index: damaged")
    wait_until(lambda: 'kind="refresh"} 3.0' in one.get("/metrics").text)
    assert search(one)["results"]
    assert caplog.text.count("cannot be opened") == 1


def test_metrics_count_without_texts(client):
    one = client()
    search(one, "a very private question", k=2)
    one.get("/a/very/private/path?q=secret")
    text = one.get("/metrics").text
    assert 'isoglot_requests_total{path="/search",status="200"} 1.0' in text
    assert 'isoglot_requests_total{path="other",status="404"} 1.0' in text
    assert 'isoglot_request_seconds_count{path="/search"} 1.0' in text
    assert 'isoglot_queries_total{policy="score"} 1.0' in text
    assert "isoglot_results_total" in text and "isoglot_index_generation 1.0" in text
    assert "private" not in text and "secret" not in text


def test_openapi_has_examples_and_errors_that_hold(client):
    one = client()
    schema = one.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/search",
        "/compare",
        "/index",
        "/questions",
        "/metrics",
        "/health",
        "/ready",
    }
    for path in ("search", "compare"):
        name = f"{path.capitalize()}Request"
        for example in schema["components"]["schemas"][name]["examples"]:
            assert one.post(f"/{path}", json=example).status_code == 200
        responses = schema["paths"][f"/{path}"]["post"]["responses"]
        assert {"400", "401", "403", "408", "413", "422", "500", "503"} < set(responses)
    assert "HTTPValidationError" not in json.dumps(schema)
