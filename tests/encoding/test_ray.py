"""Workers on any node make the shards that one process makes, or say what the user can mend."""

import dataclasses
import shutil
import sys

import numpy as np
import pytest

from isoglot.artifacts import file_sha256, write_text
from isoglot.config.encoding import EncodingConfig
from isoglot.config.model import ModelConfig
from isoglot.data.corpus import open_passages, store_passages
from isoglot.encoding import ray_cluster
from isoglot.encoding.ray import encode_corpus_ray
from isoglot.encoding.ray_cluster import Workers, joined_cluster, plan_workers
from isoglot.encoding.ray_worker import Answer, Job, ShardMaker, ShardTask
from isoglot.encoding.shards import open_shards
from isoglot.encoding.stream import describe_origin, encode_corpus
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models.loading import load_encoder
from isoglot.records import Passage

SHARD_SIZE = 3
PASSAGES = [
    Passage(f"{lang}:{i}", lang, "same" if i in (1, 3) else f"{lang} text {i} " + "word " * i)
    for i in range(7)
    for lang in ("sw", "bn")
]


def settings(**changes):
    return EncodingConfig(**{"shard_size": SHARD_SIZE, "backend": "torch", "threads": 1, **changes})


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def encode_locally(model, corpus, folder, shard_size=SHARD_SIZE):
    encode_corpus(
        load_encoder(model),
        open_passages(corpus),
        folder,
        model_name=model.name,
        shard_size=shard_size,
        show_progress=False,
    )
    return contents(folder)


@pytest.fixture
def model(checkpoints):
    return ModelConfig(name=str(checkpoints["static"]))


@pytest.fixture
def corpus(tmp_path):
    store_passages(tmp_path / "corpus", {}, lambda: PASSAGES, name="tiny")
    return tmp_path / "corpus"


@pytest.fixture
def job(model, corpus, tmp_path):
    """What the driver tells its workers."""
    output = tmp_path / "embeddings"
    write_text(output / ".ray" / "token", "7")
    return Job(
        model=model,
        settings=settings(),
        corpus=corpus,
        corpus_sha256=file_sha256(corpus / "passages.json"),
        output=output,
        scratch=output / ".ray",
        token="7",
        origin=describe_origin(load_encoder(model), model.name, SHARD_SIZE, "float32"),
        precision="float32",
    )


def answer(maker, lang="sw", number=1, start=3, stop=6):
    """What the driver gets for a row, which comes as arrays of one value."""
    task = ShardTask(lang, number, start, stop)
    row = maker({field: np.array([value]) for field, value in task._asdict().items()})
    return Answer(**{field: value for field, (value,) in row.items()})


def test_a_worker_makes_the_files_of_a_local_run(job, model, corpus, tmp_path):
    expected = encode_locally(model, corpus, tmp_path / "local")
    maker = ShardMaker(job, 1)
    made = [answer(maker), answer(maker, "bn", 2, 6, 7)]
    assert [(a.lang, a.number, a.error) for a in made] == [("sw", 1, ""), ("bn", 2, "")]
    found = open_shards(tmp_path / "local").shards["passages"]
    assert [a.record() for a in made] == [found["sw"][1], found["bn"][2]]
    files = contents(job.output)
    assert files.pop(".ray/token") == b"7"
    assert files == {file: expected[file] for file in files}
    assert len(files) == 4


def test_a_node_that_sees_another_corpus(job, tmp_path):
    other = dataclasses.replace(job, corpus=tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"node \S+: .*nowhere: is another corpus here or none"):
        answer(ShardMaker(other, 1)).record()
    other = dataclasses.replace(job, corpus_sha256="0" * 64)
    with pytest.raises(ArtifactError, match="must be on storage that all nodes see under the same"):
        answer(ShardMaker(other, 1)).record()


def test_a_node_that_sees_another_output(job, tmp_path):
    shutil.rmtree(job.scratch)
    with pytest.raises(ArtifactError, match=r"node \S+: .*embeddings: is another folder here or"):
        answer(ShardMaker(job, 1)).record()
    assert not job.scratch.exists()
    other = dataclasses.replace(job, token="8")
    with pytest.raises(ArtifactError, match="is another folder here or none; corpus and output"):
        answer(ShardMaker(other, 1)).record()


def test_a_node_with_other_weights_or_none(job, checkpoints):
    other = ModelConfig(name=str(checkpoints["e5"]))
    with pytest.raises(ModelError, match=r"node \S+: model '.*' has other weights or settings"):
        answer(ShardMaker(dataclasses.replace(job, model=other), 1)).record()
    missing = ModelConfig(name="/no/such/model")
    with pytest.raises(ModelError, match=r"node \S+: model '/no/such/model': no such folder"):
        answer(ShardMaker(dataclasses.replace(job, model=missing), 1)).record()


def test_a_node_with_another_version(job):
    other = dataclasses.replace(job, version="9.9")
    with pytest.raises(ConfigError, match=r"is installed here, 9\.9 where the command runs; inst"):
        answer(ShardMaker(other, 1)).record()


def test_a_shard_with_which_workers_die_again_and_again_is_given_up(job):
    attempts = job.scratch / "sw-00001"
    attempts.write_bytes(b"....")
    answer(ShardMaker(job, 1)).record()
    assert not attempts.exists()
    attempts.write_bytes(b".....")
    with pytest.raises(ModelError, match="5 workers died while they encoded shard 1 of 'sw'; if"):
        answer(ShardMaker(job, 1)).record()


def test_workers_by_gpus_or_by_cpus_of_the_smallest_node():
    cpus = [{"CPU": 8.0}, {"CPU": 17.0}, {"memory": 1.0}]
    assert plan_workers(cpus, None) == Workers(number=3, threads=8, gpus=0)
    assert plan_workers(cpus, 4) == Workers(number=6, threads=4, gpus=0)
    gpus = [{"CPU": 8.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}]
    assert plan_workers(gpus, None) == Workers(number=6, threads=1, gpus=1)
    with pytest.raises(ConfigError, match="has no CPU and no GPU to work on; add a node"):
        plan_workers([{"memory": 1.0}], None)
    with pytest.raises(ConfigError, match="is 32, but no node of the Ray cluster has more than 17"):
        plan_workers(cpus, 32)


def test_gpus_of_nodes_need_a_stated_precision_where_the_driver_has_none(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    gpus, cpus = Workers(2, 1, gpus=1), Workers(2, 1, gpus=0)
    with pytest.raises(ConfigError, match="state precision, such as bfloat16, or float32 for"):
        ray_cluster._refuse_guessed_precision(settings(), gpus)
    ray_cluster._refuse_guessed_precision(settings(), cpus)
    ray_cluster._refuse_guessed_precision(settings(precision="bfloat16"), gpus)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    ray_cluster._refuse_guessed_precision(settings(), gpus)


def test_a_failure_of_ray_is_one_line_without_colours():
    error = ray_cluster._explain(RuntimeError("The \x1b[36mnode\x1b[39m died\n  in frame 7\n"))
    assert isinstance(error, ModelError)
    assert str(error).startswith("the Ray cluster cannot go on (The node died); see `ray status`")
    assert "(RuntimeError); see" in str(ray_cluster._explain(RuntimeError()))


def test_ray_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"not installed; pip install 'isoglot\[ray\]'"):
        with joined_cluster(None):
            pass


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "Connection refused"), ("nonsense", "HOST:PORT"), ("ray://a", "HOST:PORT")],
)
def test_no_cluster_at_the_address(address, reason, capfd):
    with pytest.raises(ConfigError, match=rf"no Ray cluster at '{address}' \(.*{reason}\); give"):
        with joined_cluster(address):
            pass
    assert capfd.readouterr() == ("", "")


def test_the_cluster_of_the_environment_is_probed_too(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(
        ConfigError, match=r"no Ray cluster at 'auto' \(.*Connection refused\); give"
    ):
        with joined_cluster("auto"):
            pass


def test_nothing_is_started_where_everything_is_there(model, corpus, tmp_path, monkeypatch):
    expected = encode_locally(model, corpus, tmp_path / "out")
    monkeypatch.setattr(ray_cluster, "_import_ray", None)
    encode_corpus_ray(model, corpus, tmp_path / "out", settings(), show_progress=False)
    assert contents(tmp_path / "out") == expected


@pytest.mark.slow
def test_a_ray_of_our_own_makes_the_same_bytes_and_is_quiet(model, corpus, tmp_path, capfd):
    expected = encode_locally(model, corpus, tmp_path / "local")
    encode_corpus_ray(model, corpus, tmp_path / "ray", settings(), show_progress=False)
    assert contents(tmp_path / "ray") == expected
    assert capfd.readouterr() == ("", "")
