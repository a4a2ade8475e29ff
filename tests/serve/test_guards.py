"""Who is let in, and what every answer carries."""

import re

import pytest

from isoglot.config.serve import ServeConfig
from isoglot.errors import ConfigError
from isoglot.serve.server import bind, host_names, read_key

KEY = "0123456789abcdef-secret"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": "schlüssel".encode()},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer wrong", "X-API-Key": KEY},
    ],
    ids=str,
)
def test_without_the_key_nothing_is_searched_or_shown(client, library, headers):
    one = client(key=KEY)
    for answer in (
        one.post("/search", json={"query": "q"}, headers=headers),
        one.post("/compare", json={"queries": [{"query": "q"}]}, headers=headers),
        one.get("/index", headers=headers),
        one.get("/questions", headers=headers),
        one.get("/metrics", headers=headers),
        one.get("/nowhere", headers=headers),
        one.get("/health/../index", headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert (
            answer.json()["help"]
            == "send the key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
        )
    assert library.batches == []


def test_a_large_body_without_the_key_is_not_even_read(client):
    answer = client(key=KEY).post("/search", content=b"x" * 10_000_000)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {KEY}"}],
)
def test_with_the_key_it_answers(client, headers):
    one = client(key=KEY)
    assert one.post("/search", json={"query": "q"}, headers=headers).status_code == 200
    schema = one.get("/openapi.json", headers=headers).json()
    assert set(schema["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}
    assert schema["paths"]["/search"]["post"]["security"]
    assert "security" not in schema["paths"]["/health"]["get"]


def test_the_state_the_page_and_the_description_need_no_key(client):
    one = client(key=KEY)
    for path in ("/health", "/ready", "/openapi.json", "/", "/assets/app.js"):
        assert one.get(path).status_code == 200


def test_every_answer_has_security_headers_and_is_kept_by_no_cache(client, library):
    library.fail_on = "fail"
    one = client(key=KEY)
    headers = {"X-API-Key": KEY}
    for answer in (
        one.get("/"),
        one.get("/assets/app.js"),
        one.get("/index"),
        one.get("/index", headers=headers),
        one.get("/nowhere", headers=headers),
        one.post("/search", json={}, headers=headers),
        one.post("/search", json={"query": "fail"}, headers=headers),
        one.post("/search", content=b"x" * 70_000, headers=headers),
    ):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "access-control-allow-origin" not in answer.headers


def test_other_sites_are_not_let_in_by_a_browser(client):
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    answer = client().options("/search", headers=asked)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_it_answers_to_the_names_of_its_machine(client, host):
    one = client(hosts=host_names(ServeConfig(), None))
    assert one.get("/index", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[::2]"])
def test_it_does_not_answer_under_a_name_of_somebody_else(client, host):
    answer = client(hosts=host_names(ServeConfig(), None)).get("/index", headers={"Host": host})
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["help"]


def test_the_page_is_sent_once_and_then_only_when_it_changed(client):
    one = client()
    page = one.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = one.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_asks_for_nothing_from_elsewhere(client):
    one = client()
    files = re.findall(r'(?:src|href)="(assets/[^"]+)"', one.get("/").text)
    scripts = [
        f"assets/{name}"
        for name in re.findall(r'from "\./([^"]+)"', one.get("/assets/app.js").text)
    ]
    assert {"assets/style.css", "assets/app.js"} <= set(files)
    for name in {*files, *scripts}:
        answer = one.get(f"/{name}")
        assert answer.status_code == 200, name
        outside = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", answer.text)
        assert set(outside) <= {"http://www.w3.org"}  # the name of SVG, asked for by nobody


def test_on_this_machine_only_its_own_names_count_unless_there_is_a_key():
    assert host_names(ServeConfig(), None) == ["localhost", "127.0.0.1", "::1"]
    assert host_names(ServeConfig(allowed_hosts=("search.example",)), None)[-1] == "search.example"
    assert host_names(ServeConfig(), KEY) is None
    names = ["localhost", "127.0.0.1", "::1", "search.example"]
    assert host_names(ServeConfig(allowed_hosts=("search.example",)), KEY) == names
    outside = ServeConfig(host="192.0.2.1", no_key=True, allowed_hosts=("search.example",))
    assert host_names(outside, None) == [*names[:3], "192.0.2.1", names[3]]


@pytest.mark.parametrize(
    "name", ["http://search.example", "search.example:8000", "", "[::1]", "a b"]
)
def test_a_host_name_that_nobody_could_ask_for_is_refused(name):
    with pytest.raises(ConfigError, match=r"--allow-host .*is no host name; give the name alone"):
        host_names(ServeConfig(allowed_hosts=(name,)), None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "search.example"])
def test_other_machines_are_let_in_only_with_a_key_or_on_purpose(host):
    with pytest.raises(ConfigError, match=r"lets other machines in; set an API key in ISOGLOT_API"):
        host_names(ServeConfig(host=host), None)
    assert host_names(ServeConfig(host=host), KEY) is None
    assert host_names(ServeConfig(host=host, no_key=True), None) is None


def test_the_key_comes_from_the_file_or_else_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ISOGLOT_API_KEY", raising=False)
    assert read_key(None) is None
    monkeypatch.setenv("ISOGLOT_API_KEY", KEY)
    assert read_key(None) == KEY
    (tmp_path / "key").write_text("another-key-of-some-length\n", "utf-8")
    assert read_key(tmp_path / "key") == "another-key-of-some-length"


@pytest.mark.parametrize("key", ["", "short", "with blanks in the middle", "schlüssel-schlüssel"])
def test_a_key_that_is_easily_guessed_or_cannot_be_sent_is_refused(monkeypatch, key):
    monkeypatch.setenv("ISOGLOT_API_KEY", key)
    with pytest.raises(
        ConfigError, match="ISOGLOT_API_KEY: an API key has 16 or more ASCII"
    ) as error:
        read_key(None)
    assert not key or key not in str(error.value)


def test_a_key_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nokey: the API key cannot be read"):
        read_key(tmp_path / "nokey")


def test_a_port_that_is_taken_is_named():
    listener, url = bind(ServeConfig(port=0))
    with listener:
        port = listener.getsockname()[1]
        assert url == f"http://127.0.0.1:{port}/"
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port} .*--port"):
            bind(ServeConfig(port=port))


def test_an_address_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"cannot listen on no-such-host\.invalid port 8000"):
        bind(ServeConfig(host="no-such-host.invalid"))
