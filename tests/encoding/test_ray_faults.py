"""A real Ray: nodes and drivers that are killed, and nodes that lack what they need."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from isoglot.config.model import ModelConfig
from isoglot.data.corpus import store_passages
from isoglot.encoding import ray as engine
from isoglot.encoding import ray_cluster
from isoglot.encoding.ray import encode_corpus_ray
from isoglot.encoding.ray_cluster import joined_cluster
from isoglot.encoding.ray_ledger import ShardLedger
from isoglot.encoding.shards import open_shards
from isoglot.errors import ConfigError, ModelError
from isoglot.records import Passage
from tests.encoding.test_ray import contents, encode_locally, settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHARD_SIZE = 1_000
SHARDS = 30
PASSAGES = [
    Passage(f"{lang}:{i}", lang, f"{lang} text {i} " + "stone water " * (20 + i % 50))
    for i in range(SHARDS * SHARD_SIZE // 2 - 7)
    for lang in ("sw", "bn")
]


@pytest.fixture
def model(checkpoints):
    return ModelConfig(name=str(checkpoints["static"]))


@pytest.fixture
def corpus(tmp_path):
    store_passages(tmp_path / "corpus", {}, lambda: PASSAGES, name="many")
    return tmp_path / "corpus"


@pytest.fixture
def started(monkeypatch):
    """Start processes of Ray at will; none may be left in the end."""
    name = uuid.uuid4().hex
    monkeypatch.setenv("ISOGLOT_TEST_RUN", name)
    yield name
    assert wait_for_none(name) == []


def wait_for_none(name, seconds=30):
    end = time.monotonic() + seconds
    while (left := processes_of(name)) and time.monotonic() < end:
        time.sleep(0.3)
    return left


def processes_of(name):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ISOGLOT_TEST_RUN") == name and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            pass
    return found


@pytest.fixture
def cluster(started):
    """A head and a second node with one CPU each, on this machine."""
    ray_cluster._import_ray()  # quiet from the beginning
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    # A node that does not answer for some seconds is taken for dead.
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 6}
    head = {**node, "include_dashboard": False, "_system_config": quick}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**node)
        yield cluster
    finally:
        cluster.shutdown()


def encode(model, corpus, output, address=None, **changes):
    values = settings(shard_size=SHARD_SIZE, **changes)
    encode_corpus_ray(model, corpus, output, values, address=address, show_progress=False)


def second_node(cluster):
    (node,) = (node for node in cluster.list_all_nodes() if not node.is_head())
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def is_making_a_shard(worker):
    return (
        "".join(worker.cmdline()).startswith("ray::MapWorker") and "submit" in worker.cmdline()[0]
    )


def test_a_node_that_is_killed_costs_nothing_but_time(
    model, corpus, tmp_path, cluster, monkeypatch, capfd
):
    expected = encode_locally(model, corpus, tmp_path / "local", SHARD_SIZE)
    added, killed = [], []
    raylet, real = second_node(cluster), ShardLedger.add

    def add(self, lang, number, shard):
        added.append((lang, number))
        if len(added) >= SHARDS // 2 and not killed:
            workers = raylet.children(recursive=True)
            if any(map(is_making_a_shard, workers)):
                killed.extend([raylet, *workers])
                for process in killed:
                    process.kill()
        real(self, lang, number, shard)

    monkeypatch.setattr(ShardLedger, "add", add)
    encode(model, corpus, tmp_path / "ray", cluster.address)
    assert killed
    assert len(added) == len(set(added)) == SHARDS
    assert contents(tmp_path / "ray") == expected
    ids = [name for _, ids in open_shards(tmp_path / "ray").ids("passages") for name in ids]
    assert sorted(ids) == sorted(passage.doc_id for passage in PASSAGES)
    assert "died; 1 left, which make its shards" in capfd.readouterr().err


def test_a_driver_that_is_killed_goes_on_with_what_it_entered(
    model, corpus, tmp_path, started, monkeypatch
):
    code = f"""
import os, signal
from pathlib import Path
from isoglot.config.model import ModelConfig
from isoglot.encoding.ray_ledger import ShardLedger
from tests.encoding.test_ray_faults import SHARDS, encode
added, real = [], ShardLedger.add
def add(self, *shard):
    real(self, *shard)
    added.append(shard)
    if len(added) == SHARDS // 2:
        os.kill(os.getpid(), signal.SIGKILL)
ShardLedger.add = add
encode(ModelConfig(name={model.name!r}), Path({str(corpus)!r}), Path({str(tmp_path)!r}, "ray"))
"""
    driver = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert driver.returncode == -signal.SIGKILL
    assert wait_for_none(started) == []
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray").rglob("*.npy")}
    given, real = [], engine.stream_answers
    monkeypatch.setattr(
        engine,
        "stream_answers",
        lambda job, tasks, report: given.extend(tasks) or real(job, tasks, report),
    )
    encode(model, corpus, tmp_path / "ray")
    assert len(given) == SHARDS - SHARDS // 2
    again = {f"{task.lang}-{task.number:05d}.npy" for task in given}
    kept = {path: time for path, time in files.items() if path.name not in again}
    assert len(kept) == SHARDS // 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(tmp_path / "ray") == encode_locally(
        model, corpus, tmp_path / "local", SHARD_SIZE
    )


def test_an_encoder_that_a_node_lacks_is_one_line(
    model, corpus, tmp_path, started, monkeypatch, capfd
):
    copy = shutil.copytree(model.name, tmp_path / "model")
    real = engine.stream_answers

    def remove_first(*arguments):
        shutil.rmtree(copy)
        return real(*arguments)

    monkeypatch.setattr(engine, "stream_answers", remove_first)
    with pytest.raises(ModelError, match=rf"node \S+: model '{copy}': no such folder$"):
        encode(ModelConfig(name=str(copy)), corpus, tmp_path / "ray")
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in (tmp_path / "ray").iterdir()) == []


def test_a_node_without_this_package_and_a_joined_ray(model, corpus, tmp_path, cluster, capfd):
    (tmp_path / "other" / "isoglot").mkdir(parents=True)
    (tmp_path / "other" / "isoglot" / "__init__.py").touch()
    cluster.remove_node(cluster.list_all_nodes()[-1])
    cluster.add_node(
        num_cpus=4,
        object_store_memory=100_000_000,
        env_vars={"PYTHONPATH": str(tmp_path / "other")},
    )
    capfd.readouterr()
    with pytest.raises(ConfigError, match="isoglot is not installed on every node"):
        encode(model, corpus, tmp_path / "ray", cluster.address, threads=4)
    assert capfd.readouterr() == ("", "")
    import ray

    with joined_cluster(cluster.address):
        with joined_cluster(None):
            assert ray.cluster_resources()["CPU"] == 5
        assert ray.is_initialized()
    assert not ray.is_initialized()
