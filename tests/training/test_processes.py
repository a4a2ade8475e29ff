"""Several processes train as one: on the same batches, by the same gradient, into one folder."""

import contextlib
import itertools
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch.nn.parallel import DistributedDataParallel

from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import BatchConfig, LossConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import build_table
from isoglot.errors import ConfigError
from isoglot.models.loading import load_encoder
from isoglot.records import Group
from isoglot.training.gathering import gather_rows, scatter_gradient
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import PlannedBatches
from isoglot.training.inputs.slices import ALONE, Process, slice_of
from isoglot.training.inputs.teacher import load_teacher
from isoglot.training.loop.processes import current_process, mean_over_processes
from isoglot.training.objective import Objective
from tests.models.checkpoints import LANGS, sentences
from tests.training.faults import (
    AtStep,
    NoRoom,
    assert_same_runs,
    start,
    together,
    torchrun,
    write_config,
)
from tests.training.runs import align_config, train_config, write_bitext, write_training_groups

TEXTS = ["Warum geht Brotteig auf?", "Kwa nini?", "Why does dough rise?"]
COLUMNS = ("groups", "query_langs", "passage_langs", "query_texts", "passage_texts")
COLUMNS += ("negative_texts", "negative_langs")

ROWS = 7
"""Of a batch: an odd number, so that two processes have unequal shares."""
LOSSES = {
    "in-batch": LossConfig(),
    "explicit": LossConfig(negatives="explicit"),
    "both, matryoshka": LossConfig(negatives="both", matryoshka_dims=(8, 16)),
    "objectives": LossConfig.model_validate(
        {
            "query_agreement": {},
            "passage_agreement": {"distance": "cosine"},
            "reversed": {"agreement": 0.2},
            "distillation": {"lang": LANGS[0]},
        }
    ),
}
WAYS = {
    "one part": {"length_buckets": 1},
    "by length": {},
    "cached": {"mini_batch_size": 4},
}


def table_of(count=40):
    texts = iter(sentences())
    # Every third group is in two languages only: not all rows have what an objective looks for.
    langs = [LANGS if i % 3 else LANGS[1:3] for i in range(count)]
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in own}, {lang: next(texts) for lang in own})
        for i, own in enumerate(langs)
    ]
    return build_table({"a": groups})


@pytest.fixture(scope="module")
def table():
    return table_of()


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def steady(checkpoints, tmp_path_factory):
    """Return an encoder without dropout, which would differ by process."""
    folder = tmp_path_factory.mktemp("steady") / "xlm-r"
    shutil.copytree(checkpoints["xlm-r"], folder)
    config = read_json(folder / "config.json")
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def read_json(path):
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [7, 12])
def test_the_slices_of_a_batch_join_to_the_batch(table, rows, count):
    plan = BatchPlan(table, BatchConfig(size=rows, negatives_per_query=2), seed=0)
    for index in range(20):
        batch = plan.batch(index)
        processes = [Process(rank, count) for rank in range(count)]
        slices = [slice_of(batch, process.rows(len(batch))) for process in processes]
        for column in COLUMNS:
            joined = np.concatenate([getattr(part, column) for part in slices])
            assert np.array_equal(joined, getattr(batch, column)), column
        assert {(part.index, part.kind) for part in slices} == {(index, batch.kind)}
        sizes = [len(part) for part in slices]
        assert sizes == processes[0].sizes(rows)
        assert min(sizes) >= max(sizes) - 1 > -1
        assert max(sizes) == -(-rows // len(processes))


def test_seven_rows_over_three_processes():
    assert [Process(rank, 3).rows(7) for rank in range(3)] == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 7),
    ]


def test_a_monolingual_batch_has_one_language_on_every_process(table):
    plan = BatchPlan(
        table, BatchConfig(size=ROWS, regime="monolingual", negatives_per_query=2), seed=0
    )
    for index in range(20):
        batch, langs = plan.batch(index), set()
        for rank in range(3):
            part = slice_of(batch, Process(rank, 3).rows(len(batch)))
            langs |= {*part.query_langs, *part.passage_langs, *part.negative_langs.ravel()}
        assert len(langs) == 1


def test_no_meaning_comes_twice_among_the_gathered_passages(table):
    plan = BatchPlan(table, BatchConfig(size=ROWS, negatives_per_query=2), seed=0)
    group_of = {int(text): row for row in range(len(table)) for text in table.passage[row, :]}
    for index in range(40):
        batch = plan.batch(index)
        parts = [slice_of(batch, Process(rank, 2).rows(len(batch))) for rank in range(2)]
        gathered = [int(text) for part in parts for text in part.passage_texts]
        negatives = [int(text) for part in parts for text in part.negative_texts.ravel()]
        meanings = {group_of[text] for text in gathered}
        assert len(meanings) == len(batch)
        assert meanings.isdisjoint(group_of[text] for text in negatives)


def gather_and_weigh(folder):
    rank = current_process(3).rank
    own = torch.tensor([[[1.0], [2.0]], [[3.0]]][rank], requires_grad=True)
    gathered = gather_rows(own, [2, 1])
    weights = torch.tensor([[[1.0], [10.0], [100.0]], [[2.0], [20.0], [200.0]]][rank])
    (gathered * weights).sum().backward()
    save_file(
        {
            "gathered": gathered.detach(),
            "gradient": own.grad,
            "scattered": scatter_gradient(weights, [2, 1]).contiguous(),
            "mean": torch.tensor(mean_over_processes(torch.tensor(float(rank)))),
        },
        folder / f"{rank}.safetensors",
    )


def loss_and_gradients(path, loss, way, process):
    """Return what one batch gives in double precision, so that what differs is not rounding."""
    model = load_encoder(ModelConfig(name=str(path)), device="cpu").train().double()
    table = table_of()
    negatives = 0 if loss.negatives == "in-batch" else 2
    batches = BatchConfig(size=ROWS, negatives_per_query=negatives)
    plan = BatchPlan(table, batches, seed=0, parallels=loss.needs_parallel_texts)
    training = TrainingConfig(**way)
    collate = build_collator(model, table, training)
    teacher = load_teacher(model, table, loss.distillation, print)
    inputs = PlannedBatches(plan, collate, 5, process, loss=loss, teacher=teacher)[3]
    objective, wrapped, apart = Objective(model, loss, None, process), model, contextlib.nullcontext
    if process.count > 1:
        wrapped = DistributedDataParallel(
            model, find_unused_parameters=True, broadcast_buffers=False
        )
        apart = wrapped.no_sync
    if training.mini_batch_size is None:
        value = objective(wrapped, inputs)
        value.backward()
    else:
        value = objective.backward(wrapped, inputs, torch.Tensor.backward, apart)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found | {"loss": torch.tensor(mean_over_processes(value), dtype=torch.double)}


def write_gradients(folder, encoders):
    process = current_process(ROWS)
    for layout, kind, way in itertools.product(encoders, LOSSES, WAYS):
        found = loss_and_gradients(encoders[layout], LOSSES[kind], WAYS[way], process)
        if process.rank == 0:
            save_file(found, folder / f"{layout}, {kind}, {way}.safetensors")


def exchange(folder, encoders):
    gather_and_weigh(folder)
    write_gradients(folder, encoders)


@pytest.fixture(scope="module")
def encoders(checkpoints, steady):
    return {"xlm-r": steady, "static": checkpoints["static"]}


@pytest.fixture(scope="module")
def exchanged(encoders, tmp_path_factory):
    """Return a folder with what two processes have made together."""
    folder = tmp_path_factory.mktemp("exchanged") / "out"
    folder.mkdir()
    ended = together(exchange, folder, encoders)
    assert ended.done, ended.said
    return folder


def test_rows_are_gathered_and_gradients_find_their_way_back(exchanged):
    # Process 0 has the rows 1 and 2 and weighs all rows 1, 10, 100; process 1 has 3 and weighs
    # 2, 20, 200. What a row gets back is what both weigh it.
    first, second = (load_file(exchanged / f"{rank}.safetensors") for rank in (0, 1))
    assert first["gathered"].tolist() == second["gathered"].tolist() == [[1.0], [2.0], [3.0]]
    assert first["gradient"].tolist() == first["scattered"].tolist() == [[3.0], [30.0]]
    assert second["gradient"].tolist() == second["scattered"].tolist() == [[300.0]]
    assert first["mean"] == second["mean"] == 0.5


def test_alone_there_is_nothing_to_gather():
    own = torch.ones(2, 3, requires_grad=True)
    assert gather_rows(own, [2]) is own
    assert scatter_gradient(own, [2]) is own


@pytest.mark.parametrize("layout", ["xlm-r", "static"])
def test_the_gradient_of_two_processes_is_that_of_one(encoders, exchanged, layout):
    for kind, way in itertools.product(LOSSES, WAYS):
        two = load_file(exchanged / f"{layout}, {kind}, {way}.safetensors")
        one = loss_and_gradients(encoders[layout], LOSSES[kind], WAYS[way], ALONE)
        assert one.keys() <= two.keys()
        for name in one:
            assert torch.allclose(one[name], two[name], rtol=1e-9, atol=1e-10), (kind, way, name)
        # A weight that takes no part in the embedding has a gradient in neither.
        assert not any(two[name].any() for name in two.keys() - one.keys())


UNEVEN = {
    "batches": {"size": ROWS},
    "loss": {"negatives": "both", "matryoshka_dims": (8,)},
    "training": {
        "steps": 5,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "gradient_accumulation": 2,
        "mini_batch_size": 3,
    },
    "development": {"groups": 3, "every": 3},
}


def varied(**training):
    return UNEVEN | {"training": UNEVEN["training"] | training}


RUNS = {
    "static": ("static", varied()),
    "xlm-r": ("xlm-r", varied()),
    "not cached": ("xlm-r", varied(mini_batch_size=None)),
    "no accumulation": ("xlm-r", varied(gradient_accumulation=1)),
    "many passes": ("static", varied(steps=40)),
    "workers": ("static", varied(workers=2)),
    "in-batch, not scored": ("xlm-r", varied() | {"loss": {}, "development": {"groups": 0}}),
    "explicit": ("static", varied() | {"loss": {"negatives": "explicit"}}),
}
DEFAULT = ("xlm-r",)


def run_in(processes, folder, config, **kwargs):
    """Run a config to its end; return the run folder and how it has ended."""
    run = folder / f"run-{processes}"
    ended = start(config, run, processes=processes, **kwargs).wait()
    assert ended.done, ended.said
    return run, ended


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "name",
    [name if name in DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in RUNS],
)
def test_two_processes_train_as_one(encoders, groups, tmp_path, name):
    layout, sections = RUNS[name]
    config = write_config(
        tmp_path / "config.yaml", train_config(encoders[layout], groups, **sections)
    )
    one, _ = run_in(1, tmp_path, config)
    # The second process has nothing to write to the run folder by itself.
    two, ended = run_in(2, tmp_path, config, fault=NoRoom(str(tmp_path / "run-2"), rank=1))
    assert read_json(one / "census.json") == read_json(two / "census.json")
    assert_near(read_json(one / "log.json"), read_json(two / "log.json"))
    assert vectors(one) == pytest.approx(vectors(two), abs=2e-3)
    assert_only_the_first_speaks(ended)


def assert_near(one, other):
    """Compare two logs; what differs is rounding, and what AdamW makes of it."""
    for first, second in zip(one, other, strict=True):
        # A rank that rounding changes moves a score of so few passages much.
        tolerance = 0.02 if "eval_score" in first else 1e-5
        assert second == pytest.approx(first, rel=1e-3, abs=tolerance)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("begun", "now"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on_with_the_same_batches(
    encoders, groups, tmp_path, begun, now
):
    config = write_config(
        tmp_path / "config.yaml", train_config(encoders["xlm-r"], groups, **varied())
    )
    whole, _ = run_in(begun, tmp_path, config)
    run = tmp_path / "parts"
    assert start(config, run, processes=begun, fault=AtStep(4)).wait().killed
    ended = start(config, run, processes=now).wait()
    assert ended.done, ended.said
    assert "checkpoints/checkpoint-3\n" in ended.said
    assert read_json(whole / "census.json") == read_json(run / "census.json")
    assert_near(read_json(whole / "log.json"), read_json(run / "log.json"))


def vectors(run):
    return SentenceTransformer(str(run / "model"), device="cpu").encode(TEXTS)


def assert_only_the_first_speaks(ended):
    first, second = ended.said_by
    assert "model: " in first
    # Libraries warn where they like.
    for ours in ("model: ", "looking for", "training: ", "development", "going on"):
        assert ours not in second, second


@pytest.mark.timeout(150)
def test_two_processes_align_as_one(tmp_path):
    sections = {"batches": {"size": ROWS}, "training": {"steps": 5}, "development": {"groups": 0}}
    config = write_config(
        tmp_path / "config.yaml", align_config(write_bitext(tmp_path / "bitext.jsonl"), **sections)
    )
    one, _ = run_in(1, tmp_path, config, command="align")
    two, ended = run_in(2, tmp_path, config, command="align")
    assert (one / "tokenizer.json").read_bytes() == (two / "tokenizer.json").read_bytes()
    assert read_json(one / "census.json") == read_json(two / "census.json")
    assert vectors(one) == pytest.approx(vectors(two), abs=1e-4)
    assert_only_the_first_speaks(ended)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_torchrun_starts_what_the_harness_starts(encoders, groups, tmp_path):
    config = train_config(encoders["static"], groups, **UNEVEN)
    path = write_config(tmp_path / "config.yaml", config)
    two, _ = run_in(2, tmp_path, path)
    ended = torchrun(path, tmp_path / "torchrun", processes=2)
    assert ended.done, ended.said
    assert_same_runs(two, tmp_path / "torchrun")
    assert ended.said.count("model: ") == 1


def in_processes(monkeypatch, count):
    state = SimpleNamespace(num_processes=count, process_index=count - 1)
    monkeypatch.setattr("isoglot.training.loop.processes.PartialState", lambda **_: state)


def test_a_batch_with_fewer_rows_than_processes_is_refused(monkeypatch):
    in_processes(monkeypatch, 4)
    assert current_process(4) == Process(3, 4)
    message = r"batches\.size: 3 rows for 4 processes; each needs one at least"
    with pytest.raises(ConfigError, match=message):
        current_process(3)


def test_several_gpus_in_one_process_are_refused(monkeypatch):
    in_processes(monkeypatch, 1)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"sees 2 GPUs .* `torchrun --nproc_per_node 2 -m"):
        current_process(8)


def test_several_gpus_serve_several_processes(monkeypatch):
    in_processes(monkeypatch, 2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert current_process(8) == Process(1, 2)
