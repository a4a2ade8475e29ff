"""What a grid was made from is still there, and nothing of other data is set beside it."""

import json
import shutil
from types import SimpleNamespace

import pytest

from isoglot.artifacts import mark_complete, write_json, write_yaml
from isoglot.config.correction import CorrectConfig
from isoglot.config.experiment import ExperimentConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.errors import ArtifactError
from isoglot.experiment import audit
from isoglot.experiment.audit import audit_experiment, texts_read
from isoglot.experiment.cells import cells_of, check_cells
from isoglot.experiment.inputs import check_evaluated, check_inputs, note_encoders
from isoglot.pipeline.correction import hash_texts
from isoglot.training import run_folder
from isoglot.training.run_folder import hash_data
from tests.data.builders import write_jsonl
from tests.training.runs import write_bitext, write_training_groups


@pytest.fixture
def groups(tmp_path):
    return write_training_groups(tmp_path / "groups.jsonl")


@pytest.fixture
def grid(tmp_path, groups):
    """A config whose inputs are all files of the test's own; the encoder is never loaded."""
    write_json(tmp_path / "encoder" / "modules.json", [])
    write_json(tmp_path / "encoder" / "sub" / "config.json", {})

    def config(**changes):
        values = {
            "encoders": [{"label": "tiny", "name": str(tmp_path / "encoder")}],
            "regimes": ["hybrid"],
            "seeds": [0, 1],
            "benchmarks": [{"benchmark": str(groups), "measures": ["AP"]}],
            "data": [{"path": str(groups)}],
        }
        return ExperimentConfig.model_validate({**values, **changes})

    return config


def lsar(groups, of="untrained", **correction):
    data = [{"path": str(groups)}]
    return {"label": "lsar", "of": of, "correction": {"method": "lsar", "data": data, **correction}}


def pretend(config, root):
    """Write what a run leaves in complete cells, as far as it says what they were made from."""
    cells = list(cells_of(config))
    for cell in cells:
        stage = cell.model_stage(root)
        if cell.training is not None:
            write_json(stage / "data.json", hash_data(cell.training))
            write_yaml(stage / "config.yaml", cell.training.model_dump(mode="json"))
        if cell.correction is not None:
            record = CorrectConfig(model=cell.of.model(root), correction=cell.correction)
            write_yaml(stage / "config.yaml", record.model_dump(mode="json"))
            hashes = hash_texts(cell.correction.data)
            write_json(stage / "provenance.json", {"data_sha256": hashes})
        if stage is not None:
            mark_complete(stage)
        for benchmark in config.benchmarks:
            folder = root / cell.folder / benchmark.label
            write_json(folder / "provenance.json", {"data_sha256": {"a": "1", "b": "2"}})
            mark_complete(folder)
    note_encoders(config, root)
    return cells


@pytest.mark.parametrize("loss", [{}, {"distillation": {"weight": 1.0}}])
def test_cells_of_changed_data_are_refused(grid, groups, tmp_path, loss):
    config = grid(loss=loss)
    cells = pretend(config, tmp_path / "grid")
    check_inputs(config, cells, tmp_path / "grid")
    write_training_groups(groups, 13)
    message = (
        r"tiny/hybrid-seed0/train: was made from other data \(groups has changed since\); choose "
        r"another --output or delete it$"
    )
    with pytest.raises(ArtifactError, match=message):
        check_inputs(config, cells, tmp_path / "grid")


def test_development_groups_and_a_correction_s_texts_are_data_too(grid, tmp_path):
    development = write_training_groups(tmp_path / "development.jsonl")
    texts = write_training_groups(tmp_path / "texts.jsonl")
    config = grid(development={"path": str(development)}, variants=[lsar(texts)])
    cells = pretend(config, tmp_path / "grid")
    check_inputs(config, cells, tmp_path / "grid")
    write_training_groups(texts, 13)
    with pytest.raises(ArtifactError, match=r"lsar-seed0/correction: .* \(texts has changed"):
        check_inputs(config, cells, tmp_path / "grid")
    write_training_groups(development, 13)
    with pytest.raises(
        ArtifactError, match=r"hybrid-seed0/train: .* \(development.path has changed"
    ):
        check_inputs(config, cells, tmp_path / "grid")


def test_files_that_are_gone_and_records_that_were_not_kept_say_nothing(grid, groups, tmp_path):
    config = grid(development={"path": str(groups)}, variants=[lsar(groups)])
    root = tmp_path / "grid"
    cells = pretend(config, root)
    groups.unlink()
    shutil.rmtree(tmp_path / "encoder")
    check_inputs(config, cells, root)
    write_training_groups(groups, 13)
    for record in [*root.rglob("data.json"), *root.rglob("provenance.json")]:
        record.unlink()
    check_inputs(config, cells, root)


def test_data_that_many_cells_share_are_hashed_once(grid, tmp_path, monkeypatch):
    variants = [{"label": "warm", "set": {"loss.temperature": 1.0}}]
    config = grid(variants=variants)
    cells = pretend(config, tmp_path / "grid")
    calls = []

    def counted(config):
        calls.append(config)
        return hash_data(config)

    monkeypatch.setattr(run_folder, "hash_data", counted)
    check_inputs(config, cells, tmp_path / "grid")
    assert (len(calls), len(cells)) == (1, 5)


def test_another_encoder_in_the_same_folder_is_refused(grid, tmp_path):
    config, root = grid(), tmp_path / "grid"
    cells = pretend(config, root)
    shutil.copytree(tmp_path / "encoder", tmp_path / "copy")  # with other times
    shutil.rmtree(tmp_path / "encoder")
    (tmp_path / "copy").rename(tmp_path / "encoder")
    (tmp_path / "encoder" / "README.md").write_text("a card", "utf-8")
    check_inputs(config, cells, root)
    write_json(tmp_path / "encoder" / "sub" / "config.json", {"dim": 3})
    message = (
        r"tiny/untrained/groups.jsonl: was made with other files of .*/encoder "
        r"\(sub/config.json has changed since\); choose another --output or delete .*/grid/tiny$"
    )
    with pytest.raises(ArtifactError, match=message):
        check_inputs(config, cells, root)
    shutil.rmtree(root / "tiny")
    check_inputs(config, cells, root)
    note_encoders(config, root)
    pretend(config, root)
    check_inputs(config, cells, root)


def test_results_on_other_files_of_a_benchmark_are_refused(grid, tmp_path):
    config, root = grid(), tmp_path / "grid"
    cells = pretend(config, root)
    label = config.benchmarks[0].label
    check_evaluated(config, cells, {}, root)
    check_evaluated(config, cells, {label: SimpleNamespace(sources={"a": "1", "b": "2"})}, root)
    with pytest.raises(ArtifactError, match=r"tiny/untrained/groups.jsonl: .* \(b has changed"):
        check_evaluated(config, cells, {label: SimpleNamespace(sources={"a": "1", "b": "3"})}, root)
    odd = root / "tiny" / "hybrid-seed1" / label
    write_json(odd / "provenance.json", {"data_sha256": {"a": "1"}})
    with pytest.raises(ArtifactError, match=r"hybrid-seed1/groups.jsonl: .* \(b has changed"):
        check_evaluated(config, cells, {}, root)
    (odd / "COMPLETE").unlink()  # it is measured again
    check_evaluated(config, cells, {}, root)


def test_a_correction_of_an_encoder_with_other_options_is_refused(grid, groups, tmp_path):
    encoder = grid().encoders[0].model_dump(include={"label", "name"})
    config = grid(untrained=False, regimes=[], variants=[lsar(groups)])
    root = tmp_path / "grid"
    check_cells(config.model_copy(update={"benchmarks": ()}), pretend(config, root), root)
    changes = {"encoders": [{**encoder, "passage_prompt": "P: "}]}
    other = grid(untrained=False, regimes=[], variants=[lsar(groups)], **changes)
    with pytest.raises(ArtifactError, match=r"lsar-seed0/correction: was made with another config"):
        check_cells(other, list(cells_of(other)), root)


def paths(texts):
    return [[source.path for source in config.data] for config in texts]


def test_a_file_is_read_once_for_all_of_its_names_and_parts(grid, groups, tmp_path):
    bitext = write_bitext(tmp_path / "bitext.jsonl")
    whole = {"path": str(bitext), "format": "bitext", "name": "groups"}
    part = {**whole, "sources": ["a"], "name": "part"}
    again = {"path": str(groups), "name": "again"}
    variants = [
        {"label": "parts", "set": {"data": [part, again]}},
        {"label": "whole", "set": {"data": [whole]}},
        {"label": "english", "set": {"data": [part], "languages": ["en", "de"]}},
        {"label": "elsewhere", "set": {"development.path": "mini"}},
    ]
    texts = texts_read(list(cells_of(grid(variants=variants))))
    assert paths(texts) == [[str(groups), str(bitext)], [str(bitext)]]
    assert [source.label for source in texts[0].data] == ["groups", "groups-2"]
    assert [config.languages for config in texts] == [None, ("en", "de")]
    assert [config.development.path for config in texts] == ["mini", None]


def test_benchmarks_are_looked_for_once_and_again_when_a_file_has_changed(
    grid, groups, tmp_path, monkeypatch
):
    other = write_jsonl(tmp_path / "other.jsonl", map(json.loads, groups.open(encoding="utf-8")))
    missing = {"label": "missing", "set": {"data": [{"path": str(tmp_path / "none.jsonl")}]}}
    more = {"label": "more", "set": {"data": [{"path": str(groups)}, {"path": str(other)}]}}
    cells = list(cells_of(grid(variants=[more, missing])))
    collections = [load_benchmark(str(groups))]
    looked = []
    found = audit.audit_data
    monkeypatch.setattr(
        audit, "audit_data", lambda *arguments: looked.append(1) or found(*arguments)
    )

    def lines():
        said = []
        audit_experiment(cells, collections, tmp_path, said.append)
        return said

    first = lines()
    assert first[0] == f"{tmp_path}/none.jsonl: no such file; not looked at for benchmarks"
    assert first[1] == "looking for the benchmarks in the training data"
    assert first[2].startswith("warning: ")
    record = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    (texts,) = record["audited"]["texts"]
    assert [source["path"] for source in texts["data"]] == [str(groups), str(other)]
    assert lines() == first[:1]
    write_training_groups(other, 13)
    assert lines()[:2] == first[:2]
    assert len(looked) == 2
