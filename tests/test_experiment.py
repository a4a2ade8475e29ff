"""An experiment's grid: its folders, what a second run does, and what it refuses to mix."""

import csv
import json
import os
import queue
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from isoglot.artifacts import is_complete, mark_complete
from isoglot.config.experiment import ExperimentConfig
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation.outputs import read_table
from isoglot.evaluation.significance import holm
from isoglot.experiment import run_experiment, significance, work
from isoglot.experiment.cells import cells_of
from tests.data.builders import write_jsonl
from tests.training.runs import write_training_groups

REGIMES = ("monolingual", "cross-lingual", "hybrid")


@pytest.fixture(scope="module", autouse=True)
def unsynced():
    """Thousands of small files need not outlast a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def grid(checkpoints, groups):
    def config(**changes):
        values = {
            "encoders": [{"label": "tiny", "name": str(checkpoints["static"])}],
            "seeds": [0, 1],
            "benchmarks": [{"benchmark": str(groups), "measures": ["AP", "R@1"]}],
            "data": [{"path": str(groups)}],
            "batches": {"size": 4},
            "training": {"steps": 2, "learning_rate": 0.01},
            "development": {"groups": 0, "every": 2},
            "audit": False,
        }
        return ExperimentConfig.model_validate({**values, **changes})

    return config


@pytest.fixture
def count_stages(monkeypatch):
    """Count trainings and evaluations, and let a training fail on demand."""
    calls = {"train": 0, "evaluate": 0, "fail_at": None}
    train, evaluate = work.run_training, work.run_evaluation

    def counted_training(config, folder):
        if calls["fail_at"] == calls["train"]:
            raise KeyboardInterrupt
        calls["train"] += 1
        return train(config, folder)

    def counted_evaluation(*arguments, **options):
        calls["evaluate"] += 1
        return evaluate(*arguments, **options)

    monkeypatch.setattr(work, "run_training", counted_training)
    monkeypatch.setattr(work, "run_evaluation", counted_evaluation)
    return calls


@pytest.fixture(scope="module")
def finished_once(grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "grid"
    _, lines = run(grid(), folder)
    return folder, lines


@pytest.fixture
def finished(finished_once, tmp_path):
    """A copy of the whole default grid, run."""
    return shutil.copytree(finished_once[0], tmp_path / "grid")


def run(config, folder, **options):
    lines = []
    comparison = run_experiment(config, folder, lines.append, **options)
    return comparison, lines


def tree(folder):
    """Every file with the time of its last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_cell_has_its_folders_and_the_comparison_names_all(finished_once):
    folder, lines = finished_once
    cells = {f"{regime}-seed{seed}" for regime in REGIMES for seed in (0, 1)}
    assert {path.name for path in (folder / "tiny").iterdir()} == {*cells, "untrained"}
    for cell in cells:
        assert is_complete(folder / "tiny" / cell / "train")
        assert is_complete(folder / "tiny" / cell / "groups.jsonl")
    assert lines[0] == "[1/7] tiny/untrained"
    assert len(lines) == 7
    for name in ("config.yaml", "provenance.json", "COMPLETE"):
        assert (folder / name).is_file()
    table = (folder / "comparison.md").read_text("utf-8")
    assert all(word in table for word in (*REGIMES, "untrained", "tiny"))
    assert read_csv(folder / "comparison.csv")


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_seed_and_regime_trains_a_model_of_its_own(finished_once):
    folder, _ = finished_once
    # Two hybrid batches may be of one kind.
    weights = {
        path.read_bytes() for path in folder.glob("tiny/*lingual*/train/model/*.safetensors")
    }
    assert len(weights) == 4
    census = json.loads((folder / "tiny/monolingual-seed0/train/census.json").read_text("utf-8"))
    assert census["drawn"]["batches"] == {"monolingual": 2}


def test_a_second_run_trains_and_evaluates_nothing(grid, finished, count_stages):
    first = (finished / "comparison.md").read_text("utf-8")
    (comparison,), _ = run(grid(), finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (0, 0)
    assert comparison.table().to_markdown() in first


def test_an_interrupted_grid_goes_on_where_it_was(grid, tmp_path, count_stages):
    config = grid(seeds=[0], regimes=["monolingual", "hybrid"], untrained=False)
    count_stages["fail_at"] = 1
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "grid")
    assert not is_complete(tmp_path / "grid")
    count_stages["fail_at"] = None
    run(config, tmp_path / "grid")
    assert (count_stages["train"], count_stages["evaluate"]) == (2, 2)
    assert is_complete(tmp_path / "grid")


def test_an_interrupted_evaluation_is_run_again(grid, finished, count_stages):
    target = finished / "tiny" / "hybrid-seed1" / "groups.jsonl"
    (target / "COMPLETE").unlink()
    (target / "config.yaml").unlink()
    run(grid(), finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (0, 1)


def test_a_grid_can_grow(grid, finished, count_stages):
    run(grid(seeds=[0, 1, 2], regimes=["hybrid"]), finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (1, 1)


def test_a_grid_that_was_moved_is_still_complete(grid, finished, tmp_path, count_stages):
    finished.rename(tmp_path / "moved")
    run(grid(), tmp_path / "moved")
    assert (count_stages["train"], count_stages["evaluate"]) == (0, 0)


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
    grid, finished, groups, checkpoints, changes, folder
):
    if "benchmarks" in changes:
        changes = {"benchmarks": [{"benchmark": str(groups), "measures": ["AP"]}]}
    if "encoders" in changes:
        encoder = {"label": "tiny", "name": str(checkpoints["static"]), "query_prompt": "Q: "}
        changes = {"encoders": [encoder]}
    before = tree(finished)
    with pytest.raises(ArtifactError, match=f"{folder}: was made with another config; choose"):
        run(grid(**changes), finished)
    assert tree(finished) == before
    assert is_complete(finished)


def test_each_measure_has_its_table_and_its_tables_by_language(grid, finished):
    comparisons, _ = run(grid(measures=["AP", "R@1"], low_resource=["sw"]), finished)
    assert [comparison.measure for comparison in comparisons] == ["AP", "R@1"]
    text = (finished / "comparison.md").read_text("utf-8")
    assert text.startswith("## AP\n\n| benchmark")
    assert "\n## R@1\n\n| benchmark" in text
    languages = (finished / "languages.md").read_text("utf-8")
    assert ", tiny, AP\n" in languages
    assert (
        "### monolingual R@1\n\n| batches       |     de |     en |     sw |   mean |" in languages
    )
    low = (finished / "low_resource.md").read_text("utf-8")
    assert low.startswith("Differences from the baseline stand in brackets. They are of single")
    assert re.search(
        r"### multilingual AP\n\n\| batches +\| +sw \| +mean \| +mean of others \|", low
    )
    assert re.search(r"\n\| monolingual +\| 0\.\d{4} \([+-]0\.\d{4}\) \|", low)
    assert re.search(r"\n\| hybrid +\| +0\.\d{4} \|", low), "the baseline has no difference"
    assert {row["measure"] for row in read_csv(finished / "comparison.csv")} == {"AP", "R@1"}


def test_a_cell_trained_anew_is_evaluated_anew(grid, finished, count_stages):
    (finished / "tiny" / "hybrid-seed0" / "train" / "COMPLETE").unlink()
    (finished / "tiny" / "hybrid-seed0" / "train" / "config.yaml").unlink()
    run(grid(), finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (1, 1)


def test_results_older_than_their_model_are_measured_again(grid, finished, count_stages):
    # As after `isoglot train` into the cell's folder.
    mark_complete(finished / "tiny" / "hybrid-seed0" / "train")
    run(grid(), finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (0, 1)


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
    config = grid(benchmarks=benchmarks, regimes=[])
    (comparison,), _ = run(config, tmp_path / "grid")
    assert {row.encoder for row in comparison.rows} == {"tiny"}


VARIANTS = [
    {"label": "warm", "set": {"loss.temperature": 1.0}},
    {"label": "lsar", "of": "hybrid", "correction": {"method": "lsar", "components": 1}},
    {"label": "bare-lsar", "of": "untrained", "correction": {"method": "lsar", "components": 1}},
]


@pytest.fixture
def variants(tmp_path):
    data = [{"path": str(write_training_groups(tmp_path / "more.jsonl", 60))}]
    return [
        {**variant, "correction": {**variant["correction"], "data": data}}
        if "correction" in variant
        else variant
        for variant in VARIANTS
    ]


def test_variants_shares_and_bm25_are_cells_like_others(grid, finished, variants, count_stages):
    config = grid(variants=variants, shares=[0, 0.1, 1], bm25=True, seeds=[0])
    (comparison,), _ = run(config, finished)
    assert [(row.encoder, row.batches) for row in comparison.rows] == [
        ("bm25", "untrained"),
        *(("tiny", label) for label in config.labels),
    ]
    # warm and share-0.1 are trained; the two others are corrected: of a seed, and of none.
    assert (count_stages["train"], count_stages["evaluate"]) == (2, 1 + 2 + 1 + 1)
    for name in ("lsar-seed0", "bare-lsar-seed0"):
        assert is_complete(finished / "tiny" / name / "correction")
        assert not (finished / "tiny" / name / "train").exists()
    trained = json.loads((finished / "tiny/warm-seed0/train/census.json").read_text("utf-8"))
    same = json.loads((finished / "tiny/hybrid-seed0/train/census.json").read_text("utf-8"))
    assert trained["drawn"] == same["drawn"]
    count_stages.update(train=0, evaluate=0)
    run(config, finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (0, 0)


def test_a_correction_is_made_anew_with_the_model_it_is_of(grid, finished, variants, count_stages):
    config = grid(variants=variants[1:2], regimes=["hybrid"], untrained=False)
    run(config, finished)
    count_stages.update(train=0, evaluate=0)
    before = (finished / "tiny" / "lsar-seed0" / "correction" / "COMPLETE").read_text("utf-8")
    other = (finished / "tiny" / "lsar-seed1" / "correction" / "COMPLETE").read_text("utf-8")
    (finished / "tiny" / "hybrid-seed0" / "train" / "COMPLETE").unlink()
    count_stages["fail_at"] = 0
    with pytest.raises(KeyboardInterrupt):
        run(config, finished)
    for stage in ("correction", "groups.jsonl"):
        assert not is_complete(finished / "tiny" / "lsar-seed0" / stage)
        assert is_complete(finished / "tiny" / "lsar-seed1" / stage)
    count_stages["fail_at"] = None
    run(config, finished)
    assert (count_stages["train"], count_stages["evaluate"]) == (1, 2)
    after = (finished / "tiny" / "lsar-seed0" / "correction" / "COMPLETE").read_text("utf-8")
    assert after > before
    assert other == (finished / "tiny/lsar-seed1/correction/COMPLETE").read_text("utf-8")


@pytest.mark.parametrize("change", [{"of": "monolingual"}, {"correction": {"components": 2}}])
def test_another_correction_under_the_same_label_is_refused(grid, finished, variants, change):
    run(grid(variants=variants[1:2]), finished)
    before = tree(finished)
    correction = {**variants[1]["correction"], **change.get("correction", {})}
    other = {**variants[1], **change, "correction": correction}
    with pytest.raises(ArtifactError, match=r"lsar-seed0/correction: was made with another config"):
        run(grid(variants=[other]), finished)
    assert tree(finished) == before


def test_some_cells_can_be_made_by_themselves(grid, tmp_path, variants, count_stages):
    config = grid(seeds=[0], variants=variants)
    comparisons, lines = run(config, tmp_path / "grid", only=["lsar", "untrained"])
    assert comparisons == []
    assert lines == ["[1/2] tiny/untrained", "[2/2] tiny/lsar-seed0"]
    # The model that is corrected is trained, and not evaluated.
    assert (count_stages["train"], count_stages["evaluate"]) == (1, 2)
    assert not is_complete(tmp_path / "grid")
    assert not (tmp_path / "grid" / "comparison.md").exists()
    message = r"--only: nothing is called 'lsra'; allowed: untrained, .*; did you mean 'lsar'\?"
    with pytest.raises(ConfigError, match=message):
        run(config, tmp_path / "grid", only=["lsra"])


def test_two_processes_do_not_do_the_same_cell_twice(grid, tmp_path, count_stages):
    config = grid(seeds=[0], untrained=False, regimes=["hybrid"])
    cell = tmp_path / "grid" / "tiny" / "hybrid-seed0"
    cell.mkdir(parents=True)
    told = queue.Queue()

    def work_on(config):
        run_experiment(config, tmp_path / "grid", told.put, only=["hybrid"])

    with ThreadPoolExecutor(2) as pool:
        with FileLock(cell / ".lock"):
            done = [pool.submit(work_on, config) for _ in range(2)]
            lines = [told.get(timeout=60) for _ in range(4)]
        assert [one.result() for one in done] == [None, None]
    waiting = "waiting for tiny/hybrid-seed0, which another process works on"
    assert sorted(lines) == ["[1/1] tiny/hybrid-seed0"] * 2 + [waiting] * 2
    assert (count_stages["train"], count_stages["evaluate"]) == (1, 1)


def test_every_method_is_tested_against_the_baseline(finished_once):
    folder, _ = finished_once
    page = (folder / "significance.md").read_text("utf-8")
    assert ", tiny, AP, against hybrid\n\n### monolingual AP\n" in page
    (record,) = json.loads((folder / "differences.json").read_text("utf-8"))
    assert [system["label"] for system in record["systems"]] == [
        *("hybrid", "untrained", "monolingual", "cross-lingual")
    ]
    assert [len(system["runs"]) for system in record["systems"]] == [2, 1, 2, 2]
    rows = read_table(folder / "differences.parquet").to_pylist()
    # Three settings and rank distance of each but the baseline itself.
    assert len(rows) == len(record["rows"]) == 3 * 4
    assert {row["baseline"] for row in rows} == {"hybrid"}
    by_measure = [[row for row in rows if row["measure"] == m] for m in ("AP", "rank distance")]
    for family in by_measure:
        p_holm = holm(np.array([row["p"] for row in family]))
        assert [row["p_holm"] for row in family] == pytest.approx(p_holm.tolist())
    assert (folder / "methods.svg").read_text("utf-8").count("monolingual") > 0


def test_systems_are_compared_a_few_at_a_time_as_if_at_once(grid, finished_once, monkeypatch):
    folder, _ = finished_once
    cells = list(cells_of(grid()))
    (at_once,) = significance.find_differences(grid(), cells, folder)
    monkeypatch.setattr(significance, "_AT_A_TIME", 2)
    (in_parts,) = significance.find_differences(grid(), cells, folder)
    # Which seeds are drawn depends on what is beside them.
    drawn_anew = {"seed_interval": None}
    assert [replace(row, **drawn_anew) for row in at_once.report.rows] == [
        replace(row, **drawn_anew) for row in in_parts.report.rows
    ]
    assert at_once.report.systems == in_parts.report.systems


def test_shares_are_drawn_and_a_missing_library_is_said(grid, finished, monkeypatch):
    config = grid(shares=[0, 0.5, 1], measures=["AP", "R@1"])
    for name in ("sweep-nDCG@10.svg", "methods-gone.svg"):  # of an earlier config
        (finished / name).write_text("old", "utf-8")
    run(config, finished)
    assert {path.name for path in finished.glob("*.svg")} == {
        *("sweep.svg", "sweep-R@1.svg", "methods.svg", "methods-R@1.svg")
    }
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    _, lines = run(config, finished)
    assert [line for line in lines if line.startswith("sweep.svg")] == [
        "sweep.svg is not drawn: plots need Matplotlib, which is not installed; "
        "pip install 'isoglot[plots]'"
    ]


def test_without_a_baseline_nothing_is_tested(grid, tmp_path):
    run(grid(regimes=[], seeds=[0]), tmp_path / "grid")
    assert json.loads((tmp_path / "grid" / "differences.json").read_text("utf-8")) == []
    assert (tmp_path / "grid" / "significance.md").read_text("utf-8") == ""


def test_other_data_under_the_same_path_are_refused_and_nothing_is_touched(grid, finished):
    for name, message in (
        ("hybrid-seed1/train/data.json", r"hybrid-seed1/train: was made from other data \(groups"),
        ("untrained/groups.jsonl/provenance.json", r"made from other data \(groups.jsonl has"),
    ):
        record = finished / "tiny" / name
        kept = record.read_text("utf-8")
        record.write_text(re.sub(r'(groups.*": )"[0-9a-f]{64}"', r'\1"0"', kept), "utf-8")
        before = tree(finished)
        with pytest.raises(ArtifactError, match=message):
            run(grid(), finished)
        assert tree(finished) == before
        record.write_text(kept, "utf-8")


def test_another_encoder_in_the_same_folder_is_refused(grid, tmp_path, checkpoints):
    encoder = shutil.copytree(checkpoints["static"], tmp_path / "encoder")
    config = grid(encoders=[{"label": "tiny", "name": str(encoder)}], regimes=[])
    run(config, tmp_path / "grid")
    with (encoder / "modules.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(ArtifactError, match=r"made with other files of .* \(modules.json has"):
        run(config, tmp_path / "grid")


def test_only_what_is_worked_on_must_be_there(grid, tmp_path):
    none = {"data": [{"path": str(tmp_path / "none.jsonl")}]}
    lsar = {"label": "lsar", "of": "other", "correction": {"method": "lsar", **none}}
    lsar["correction"]["data"] = list(grid().data)
    config = grid(
        audit=True, seeds=[0], regimes=["hybrid"], variants=[{"label": "other", "set": none}, lsar]
    )
    _, lines = run(config, tmp_path / "grid", only=["hybrid"])
    assert lines[0] == f"{tmp_path}/none.jsonl: no such file; not looked at for benchmarks"
    assert lines[1] == "looking for the benchmarks in the training data"
    assert lines[-1] == "[1/1] tiny/hybrid-seed0"
    for label in ("other", "lsar"):
        with pytest.raises(DataError, match=r"none.jsonl: no such file; data and development"):
            run(config, tmp_path / "new", only=[label])
    assert not (tmp_path / "new").exists()
