"""An experiment's grid: its folders, what a second run does, and what it refuses to mix."""

import csv
import json

import pytest

import isoglot.experiment as experiment
from isoglot.artifacts import is_complete
from isoglot.config.experiment import ExperimentConfig
from isoglot.errors import ArtifactError, ConfigError, DataError
from tests.data.builders import write_jsonl
from tests.training.runs import write_training_groups

REGIMES = ("monolingual", "cross-lingual", "hybrid")


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture
def grid(checkpoints, groups):
    def config(**changes):
        values = {
            "encoders": [{"label": "tiny", "name": str(checkpoints["static"])}],
            "seeds": [0, 1],
            "benchmarks": [{"benchmark": str(groups), "measures": ["AP", "R@1"]}],
            "data": [{"path": str(groups)}],
            "batches": {"size": 4},
            "training": {"steps": 2, "learning_rate": 0.01},
            "development": {"groups": 0},
            "audit": False,
        }
        return ExperimentConfig.model_validate({**values, **changes})

    return config


@pytest.fixture
def count_stages(monkeypatch):
    """Count trainings and evaluations, and let a training fail on demand."""
    calls = {"train": 0, "evaluate": 0, "fail_at": None}
    train, evaluate = experiment.run_training, experiment.run_evaluation

    def counted_training(config, folder):
        if calls["fail_at"] == calls["train"]:
            raise KeyboardInterrupt
        calls["train"] += 1
        return train(config, folder)

    def counted_evaluation(*arguments, **options):
        calls["evaluate"] += 1
        return evaluate(*arguments, **options)

    monkeypatch.setattr(experiment, "run_training", counted_training)
    monkeypatch.setattr(experiment, "run_evaluation", counted_evaluation)
    return calls


def run(config, folder):
    lines = []
    comparison = experiment.run_experiment(config, folder, lines.append)
    return comparison, lines


def tree(folder):
    """Every file with the time of its last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_cell_has_its_folders_and_the_comparison_names_all(grid, tmp_path, count_stages):
    _, lines = run(grid(), tmp_path / "grid")
    assert (count_stages["train"], count_stages["evaluate"]) == (6, 7)
    cells = {f"{regime}-seed{seed}" for regime in REGIMES for seed in (0, 1)}
    assert {path.name for path in (tmp_path / "grid" / "tiny").iterdir()} == {*cells, "untrained"}
    for cell in cells:
        assert is_complete(tmp_path / "grid" / "tiny" / cell / "train")
        assert is_complete(tmp_path / "grid" / "tiny" / cell / "groups.jsonl")
    assert lines[0] == "[1/7] tiny/untrained"
    assert len(lines) == 7
    for name in ("config.yaml", "provenance.json", "COMPLETE"):
        assert (tmp_path / "grid" / name).is_file()
    table = (tmp_path / "grid" / "comparison.md").read_text("utf-8")
    assert all(word in table for word in (*REGIMES, "untrained", "tiny"))
    with (tmp_path / "grid" / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows


def test_every_seed_and_regime_trains_a_model_of_its_own(grid, tmp_path):
    run(grid(training={"steps": 6}), tmp_path / "grid")
    weights = {
        path.read_bytes() for path in (tmp_path / "grid").glob("tiny/*/train/model/*.safetensors")
    }
    assert len(weights) == 6
    census = json.loads(
        (tmp_path / "grid/tiny/monolingual-seed0/train/census.json").read_text("utf-8")
    )
    assert census["drawn"]["batches"] == {"monolingual": 6}


def test_a_second_run_trains_and_evaluates_nothing(grid, tmp_path, monkeypatch):
    first, _ = run(grid(), tmp_path / "grid")

    def refuse(*arguments, **options):
        raise AssertionError("nothing is left to be done")

    monkeypatch.setattr(experiment, "run_training", refuse)
    monkeypatch.setattr(experiment, "run_evaluation", refuse)
    second, _ = run(grid(), tmp_path / "grid")
    assert second[0].table().to_markdown() == first[0].table().to_markdown()


def test_an_interrupted_grid_goes_on_where_it_was(grid, tmp_path, count_stages):
    count_stages["fail_at"] = 4
    with pytest.raises(KeyboardInterrupt):
        run(grid(), tmp_path / "grid")
    assert not is_complete(tmp_path / "grid")
    count_stages["fail_at"] = None
    run(grid(), tmp_path / "grid")
    assert (count_stages["train"], count_stages["evaluate"]) == (6, 7)
    assert is_complete(tmp_path / "grid")


def test_an_interrupted_evaluation_is_run_again(grid, tmp_path, count_stages):
    run(grid(), tmp_path / "grid")
    target = tmp_path / "grid" / "tiny" / "hybrid-seed1" / "groups.jsonl"
    (target / "COMPLETE").unlink()
    (target / "config.yaml").unlink()
    run(grid(), tmp_path / "grid")
    assert (count_stages["train"], count_stages["evaluate"]) == (6, 8)


def test_a_grid_can_grow(grid, tmp_path, count_stages):
    run(grid(seeds=[0]), tmp_path / "grid")
    run(grid(seeds=[0, 1]), tmp_path / "grid")
    assert (count_stages["train"], count_stages["evaluate"]) == (6, 7)


def test_a_grid_that_was_moved_is_still_complete(grid, tmp_path, count_stages):
    run(grid(), tmp_path / "grid")
    (tmp_path / "grid").rename(tmp_path / "moved")
    run(grid(), tmp_path / "moved")
    assert (count_stages["train"], count_stages["evaluate"]) == (6, 7)


@pytest.mark.parametrize(
    ("changes", "folder"),
    [
        ({"training": {"steps": 3}}, "tiny/monolingual-seed0/train"),
        ({"batches": {"size": 5}}, "tiny/monolingual-seed0/train"),
        ({"loss": {"temperature": 1.0}}, "tiny/monolingual-seed0/train"),
        ({"benchmarks": "AP only"}, "tiny/untrained/groups.jsonl"),
        ({"encoders": "with a prompt"}, "tiny/untrained/groups.jsonl"),
    ],
)
def test_a_changed_config_is_refused_and_touches_nothing(
    grid, tmp_path, groups, checkpoints, changes, folder
):
    if "benchmarks" in changes:
        changes = {"benchmarks": [{"benchmark": str(groups), "measures": ["AP"]}]}
    if "encoders" in changes:
        encoder = {"label": "tiny", "name": str(checkpoints["static"]), "query_prompt": "Q: "}
        changes = {"encoders": [encoder]}
    run(grid(), tmp_path / "grid")
    before = tree(tmp_path / "grid")
    with pytest.raises(ArtifactError, match=f"{folder}: was made with another config; choose"):
        run(grid(**changes), tmp_path / "grid")
    assert tree(tmp_path / "grid") == before
    assert is_complete(tmp_path / "grid")


def test_each_measure_has_its_table_and_its_tables_by_language(grid, tmp_path):
    comparisons, _ = run(grid(measures=["AP", "R@1"], seeds=[0]), tmp_path / "grid")
    assert [comparison.measure for comparison in comparisons] == ["AP", "R@1"]
    text = (tmp_path / "grid" / "comparison.md").read_text("utf-8")
    assert text.startswith("## AP\n\n| benchmark")
    assert "\n## R@1\n\n| benchmark" in text
    languages = (tmp_path / "grid" / "languages.md").read_text("utf-8")
    assert ", tiny, AP\n" in languages
    assert "monolingual R@1: hybrid" in languages
    with (tmp_path / "grid" / "comparison.csv").open(encoding="utf-8") as file:
        assert {row["measure"] for row in csv.DictReader(file)} == {"AP", "R@1"}


def test_a_cell_trained_anew_is_evaluated_anew(grid, tmp_path, count_stages):
    run(grid(seeds=[0]), tmp_path / "grid")
    (tmp_path / "grid" / "tiny" / "hybrid-seed0" / "train" / "COMPLETE").unlink()
    (tmp_path / "grid" / "tiny" / "hybrid-seed0" / "train" / "config.yaml").unlink()
    before = dict(count_stages)
    run(grid(seeds=[0]), tmp_path / "grid")
    assert count_stages["train"] == before["train"] + 1
    assert count_stages["evaluate"] == before["evaluate"] + 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"measures": ["nDCG@10"]}, ConfigError, "nDCG@10 is not among the measures of"),
        ({"measures": ["APP"]}, ConfigError, "APP"),
        ({"benchmarks": [{"benchmark": "xquad"}]}, ConfigError, "did you mean 'xquad-r'"),
        ({"data": [{"path": "none.jsonl"}]}, DataError, "none.jsonl: no such file"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    grid, tmp_path, changes, error, message
):
    with pytest.raises(error, match=message):
        run(grid(**changes), tmp_path / "grid")
    assert not (tmp_path / "grid").exists()


def test_published_rows_stand_only_beside_the_benchmark_itself(grid, tmp_path):
    impostor = tmp_path / "xquad-r"
    write_jsonl(impostor / "corpus.jsonl", [{"_id": "d", "text": "passage", "lang": "en"}])
    write_jsonl(impostor / "queries.jsonl", [{"_id": "q", "text": "query", "lang": "en"}])
    (impostor / "qrels").mkdir()
    (impostor / "qrels" / "test.tsv").write_text("q\td\t1\n", "utf-8")
    benchmarks = [{"benchmark": str(impostor), "measures": ["AP"]}]
    (comparison,), _ = run(grid(benchmarks=benchmarks, seeds=[0]), tmp_path / "grid")
    assert {row.encoder for row in comparison.rows} == {"tiny"}
