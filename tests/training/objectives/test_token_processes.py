"""Objectives on tokens train as one in several processes."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel

from isoglot.batches.plan import BatchPlan
from isoglot.config.objectives import TranslationModellingConfig, TransportConfig
from isoglot.config.schema import BatchConfig, ModelConfig, TrainingConfig
from isoglot.data.parallel import build_table
from isoglot.models.loading import load_encoder
from isoglot.records import Group
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.pairs import parallel_pairs
from isoglot.training.inputs.slices import ALONE, Process
from isoglot.training.loop.processes import current_process, mean_over_processes
from isoglot.training.objectives.translation_modelling import build_translation_modelling
from isoglot.training.objectives.transport import build_transport
from tests.models.checkpoints import LANGS, sentences
from tests.training.faults import together

ROWS = 3
CASES = [
    ("transport", "labse", {}),
    ("transport", "static", {"mini_batch_size": 4}),
    ("translation modelling", "labse", {}),
    ("translation modelling", "xlm-r", {"mini_batch_size": 4}),
]


def table_of(count=40):
    texts = iter(sentences())
    # Most groups are in one language: now and then a process has no pair, or none has.
    langs = [LANGS if i % 3 == 0 else ("de",) for i in range(count)]
    groups = [
        Group(f"g{i}", {lang: next(texts) for lang in own}, {lang: next(texts) for lang in own})
        for i, own in enumerate(langs)
    ]
    return build_table({"a": groups})


def objective_of(name, model, table, training):
    if name == "transport":
        config, collate = TransportConfig(iterations=4), build_collator(model, table, training)
        return build_transport(model, table, config, training, collate)
    config = TranslationModellingConfig(max_tokens=20)
    return build_translation_modelling(model, table, config, training, print).double()


def telling_batches(table):
    """Return batches of which both of two processes have pairs, one has, and neither has."""
    config = BatchConfig(size=ROWS, regime="monolingual", small_languages="skip")
    plan = BatchPlan(table, config, seed=0, parallels=True)
    found = {}
    for index in range(100):
        batch = plan.batch(index)
        pairs = parallel_pairs(batch)[0]
        counts = [len(pairs.places(Process(rank, 2), ROWS)) for rank in range(2)]
        found.setdefault(sum(count > 0 for count in counts), batch)
    assert len(found) == 3
    return list(found.values())


def some_steps(name, path, way, process):
    """Return the losses of some batches and the sum of their gradients, in double precision."""
    model = load_encoder(ModelConfig(name=str(path)), device="cpu").eval().double()
    table = table_of()
    objective = objective_of(name, model, table, TrainingConfig(**way))
    wrapped = model
    if process.count > 1:
        wrapped = DistributedDataParallel(
            model, find_unused_parameters=True, broadcast_buffers=False
        )
    values = []
    for batch in telling_batches(table):  # each would fail if the one before left a weight out
        loss = objective.loss(wrapped, objective.inputs(batch, process))
        loss.backward()
        values.append(mean_over_processes(loss))
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    if isinstance(objective, torch.nn.Module):
        found |= {n: p.grad for n, p in objective.named_parameters()}
    return found | {"values": torch.tensor(values)}


def write_steps(folder, encoders):
    process = current_process(ROWS)
    for number, (name, layout, way) in enumerate(CASES):
        found = some_steps(name, encoders[layout], way, process)
        save_file(found, folder / f"{number}-{process.rank}.safetensors")


@pytest.mark.slow
def test_two_processes_have_the_losses_and_gradients_of_one(checkpoints, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    ended = together(write_steps, folder, checkpoints)
    assert ended.done, ended.said
    for number, (name, layout, way) in enumerate(CASES):
        one = some_steps(name, checkpoints[layout], way, ALONE)
        two = [load_file(folder / f"{number}-{rank}.safetensors") for rank in range(2)]
        for found in two:
            assert one.keys() <= found.keys()
            for key, value in one.items():
                assert torch.allclose(value, found[key], rtol=1e-6, atol=1e-9), (name, way, key)
