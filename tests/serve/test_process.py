"""A real server process, asked by sockets that keep no rules."""

import http.client
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

BODY = json.dumps({"query": "How does milk turn into yoghurt?", "k": 2}).encode()


def talk(process, *parts, pause=0.0, seconds=10.0):
    """Send bytes as they are; return all that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=seconds) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            return read_all(connection)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def read_all(connection):
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def post(process, body=BODY, path="search", headers=None):
    """Return status and JSON of a well-behaved request."""
    request = urllib.request.Request(
        process.url + path, body, {"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def head(*lines, method=b"POST /search"):
    host = b"Host: 127.0.0.1"
    return b"\r\n".join([method + b" HTTP/1.1", host, b"Connection: close", *lines, b"", b""])


def status_of(received):
    return int(received.split(b" ", 2)[1]) if received else None


@pytest.fixture(autouse=True)
def still_answers(process):
    yield
    assert process.is_alive()
    status, answer = post(process)
    assert status == 200 and len(answer["results"]) == 2


JSON = b"Content-Type: application/json"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\xfe\x16\x03\x01",
        b"GET\r\n\r\n",
        b"GET /%00%ff%2e%2e/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /assets/%2e%2e%2fapp.py HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET //../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /index HTTP/1.1\r\nConnection: close\r\n\r\n",  # no host
        b"GET /index HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n",
        head(b"X: " + b"a" * 200_000),
        head(*[b"X-%d: a" % n for n in range(5_000)]),
        head(b"Content-Length: -1", JSON),
        head(b"Content-Length: " + b"9" * 5_000, JSON),
        head(b"Content-Length: 5", b"Content-Length: 6", JSON) + b"{}   ",
        head(b"Content-Length: 2", b"Transfer-Encoding: chunked", JSON) + b"{}",
        head(b"Transfer-Encoding: chunked", JSON) + b"zz\r\n{}\r\n0\r\n\r\n",
        head(b"Upgrade: websocket", b"Connection: upgrade", method=b"GET /index"),
        head(b"Authorization: \xff\xfe", method=b"GET /index"),
        head(method=b"A" * 70_000 + b" /"),
        head(method=b"GET /" + b"a" * 70_000),
    ],
    ids=lambda sent: repr(sent[:24]),
)
def test_no_request_however_malformed_is_a_fault_of_the_service(process, sent):
    received = talk(process, sent)
    status = status_of(received)
    assert status is None or status < 500
    for leak in (b"Traceback", b"/work", b"/tmp", b"site-packages", b"root:", b'File "'):
        assert leak not in received


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "\\ud800"}',
        b'{"query": "\xff\xfe"}',
        b'{"query": "\\u0000\\u0000"}',
        b'{"query": "q", "k": 1' + b"0" * 100 + b"}",
        b'{"query": "q", "k": NaN}',
        b'{"query": "q", "k": -Infinity}',
        b'{"a":' * 10_000,
        b"[" * 65_000,
        b'{"query": "' + "\u202e\u0301".encode() * 900 + b'"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_hostile_bodies_get_an_answer(process, body):
    status, answer = post(process, body)
    assert status in (200, 400, 422)
    assert status == 200 or set(answer) == {"error", "help"}


def test_a_body_that_is_too_large_is_refused_and_said_so(process):
    assert post(process, b"x" * 70_000)[0] == 413
    stated = talk(process, head(b"Content-Length: 10000000000", JSON))
    assert status_of(stated) == 413
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunks = talk(process, head(b"Transfer-Encoding: chunked", JSON), *[chunk] * 10, b"0\r\n\r\n")
    assert status_of(chunks) == 413
    assert b"the body is too large" in chunks


def test_a_body_that_never_ends_is_cut_off(process):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    received = talk(process, head(b"Transfer-Encoding: chunked", JSON), *[chunk] * 200)
    assert status_of(received) in (None, 413)


def test_a_body_that_is_too_slow_is_given_up(process):
    started = time.monotonic()
    received = talk(process, head(b"Content-Length: 50", JSON), b'{"query"')
    assert status_of(received) == 408
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("sent", [b"", b"GET /index HTTP/1.1\r\n", b"G"])
def test_a_request_that_never_comes_is_not_waited_for(process, sent):
    started = time.monotonic()
    assert talk(process, sent) == b""
    assert time.monotonic() - started < 5


def test_slow_clients_by_the_hundred_keep_nobody_out(process):
    slow = [socket.create_connection(("127.0.0.1", process.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"POST /search HTTP/1.1\r\nX-Slow: ")
        assert post(process)[0] == 200
        started = time.monotonic()
        for connection in slow:
            connection.settimeout(10)
            assert read_all(connection) == b""
        assert time.monotonic() - started < 5
    finally:
        for connection in slow:
            connection.close()


def test_a_second_request_on_a_connection_is_timed_like_the_first(process):
    keep = head().replace(b"Connection: close\r\n", b"").replace(b"POST /search", b"GET /health")
    with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
        connection.sendall(keep)
        time.sleep(0.1)
        connection.sendall(b"GET /he")
        started = time.monotonic()
        assert read_all(connection).endswith(b'{"status":"ok"}')
        assert time.monotonic() - started < 5


def test_a_client_that_asks_on_and_reads_nothing_is_cut_off(process):
    keep = head(method=b"GET /openapi.json").replace(b"Connection: close\r\n", b"")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", process.port))
        connection.settimeout(5)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(keep * 100)


def test_an_answer_that_is_read_slowly_is_sent_to_its_end(process):
    keep = head(method=b"GET /openapi.json").replace(b"Connection: close\r\n", b"") * 400
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(("127.0.0.1", process.port))
        connection.settimeout(5)
        sender = threading.Thread(target=connection.sendall, args=(keep + head(),))
        sender.start()
        received = 0
        started = time.monotonic()
        while part := connection.recv(65536):
            received += len(part)
            if time.monotonic() - started < 2:
                time.sleep(0.02)
        sender.join()
    assert received > 400 * 10_000


def test_answers_on_a_kept_connection_do_not_wait_for_packets_to_be_confirmed(process):
    connection = http.client.HTTPConnection("127.0.0.1", process.port)
    seconds = []
    for _ in range(15):
        started = time.monotonic()
        connection.request("POST", "/search", BODY, {"Content-Type": "application/json"})
        assert connection.getresponse().read()
        seconds.append(time.monotonic() - started)
    connection.close()
    assert min(seconds[5:]) < 0.035  # a delayed confirmation takes 40 ms, each time


def test_many_at_once_are_all_answered(process):
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(process), range(50)))
    assert [status for status, _ in answers] == [200] * 50
    first = [result["doc_id"] for result in answers[0][1]["results"]]
    assert all([r["doc_id"] for r in answer["results"]] == first for _, answer in answers)


def test_queries_are_not_logged(process):
    post(process, b'{"query": "a most private question"}')
    urllib.request.urlopen(process.url + "?q=another+private+question").read()
    deadline = time.monotonic() + 5
    while not any("POST /search 200" in line for line in process.log):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "private" not in "".join(process.log)


def test_queries_are_logged_on_demand_on_one_line(start_process):
    one = start_process("log_queries=true")
    post(one, json.dumps({"query": "first line\n2026-01-01 INFO a line of its own"}).encode())
    one.stop()
    (line,) = [line for line in one.log if " query " in line]
    assert '"first line\\n2026-01-01 INFO a line of its own"' in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_answers_under_way(start_process, number):
    one = start_process("slow_s=0.5")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(post(one)))
    thread.start()
    time.sleep(0.3)
    one.signal(number)
    code, seconds = one.wait()
    thread.join()
    assert code == 0
    assert seconds < 5
    assert answers[0][0] == 200
    assert "Traceback" not in "".join(one.log)


def test_a_connection_too_many_is_refused(start_process):
    one = start_process("connections=5")
    idle = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(5)]
    time.sleep(0.2)
    assert status_of(talk(one, head(method=b"GET /health"))) == 503
    for connection in idle:
        connection.close()
    time.sleep(0.2)
    assert post(one)[0] == 200
