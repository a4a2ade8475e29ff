"""``isoglot audit``, and the audits of ``experiment`` and ``train``."""

import json

import pytest
import yaml
from pydantic import ValidationError

from isoglot.artifacts import is_complete
from isoglot.cli.app import run
from isoglot.config.schema import TrainConfig
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.mini import load_mini_groups
from isoglot.errors import ArtifactError, ConfigError
from isoglot.experiment import run_experiment
from isoglot.pipeline.sources import audit_data, load_training_data
from isoglot.pipeline.training import plan_batches, run_training
from isoglot.training.run_folder import claim_run
from tests.data.builders import write_jsonl
from tests.test_experiment import grid  # noqa: F401 - a fixture
from tests.training.runs import train_config, write_training_groups


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture
def clean(tmp_path):
    row = {
        "id": "1",
        "query": {"en": "Why do the bells of the harbour ring at noon in summer only?"},
        "passage": {"en": "Because the keeper sails out with the fishermen from autumn to spring."},
    }
    return write_jsonl(tmp_path / "clean.jsonl", [row])


@pytest.fixture
def call(capsys):
    def run_line(*arguments):
        code = run([str(argument) for argument in ("audit", *arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


def test_a_leak_is_exit_code_1_and_no_error(call, groups, tmp_path):
    out = tmp_path / "out"
    code, shown, err = call("--data", groups, "-b", groups, "-o", out)
    assert (code, err) == (1, "")
    assert "groups.jsonl: 36 of 36 queries leak (100.00 %)" in shown
    assert "; above the threshold of 0.1 %" in shown
    assert is_complete(out)
    assert {path.name for path in out.iterdir()} == {"audit.json", "audit.md", "COMPLETE"}
    (record,) = json.loads((out / "audit.json").read_text("utf-8"))["benchmarks"]
    assert record["exceeds"] is True
    assert record["queries"]["leaking"] == 36
    assert record["queries"]["kinds"]["exact"] + record["queries"]["kinds"]["parallel"] == 36
    assert set(record["passages"]["languages"]) == {"de", "en", "sw"}
    assert len(record["training_groups"][str(groups)]) == 12
    example = record["examples"][0]
    assert example["kind"] == "exact"
    assert example["training"]["text"] == example["text"]
    text = (out / "audit.md").read_text("utf-8")
    assert "| queries" in text and example["training"]["group_id"] in text


def test_clean_data_is_exit_code_0(call, groups, clean, tmp_path):
    code, shown, err = call("--data", clean, "-b", groups)
    assert (code, err) == (0, "")
    assert "0 of 36 queries leak (0.00 %)" in shown
    assert "not above the threshold" in shown


def test_the_threshold_is_passed_by_more_than_it(call, groups):
    assert call("--data", groups, "-b", groups, "--max-share", "1")[0] == 0
    assert call("--data", groups, "-b", groups, "--max-share", "0.99")[0] == 1


def test_the_embedded_groups_do_not_leak_into_each_other(call, tmp_path):
    rows = [
        {"id": g.group_id, "query": dict(g.query), "passage": dict(g.passage)}
        for g in load_mini_groups("train")
    ]
    data = write_jsonl(tmp_path / "train.jsonl", rows)
    code, shown, _ = call("--data", data, "-b", "mini", "--max-share", "0")
    assert code == 0, shown


def test_formats_are_named_or_looked_up(call, groups, clean, tmp_path):
    bitext = tmp_path / "sentences.tsv"
    bitext.write_text("en\tsw\nThe bells ring at noon in the summer.\tKengele hulia.\n", "utf-8")
    paragraph = {
        "context": "Kengele hulia.",
        "qas": [{"id": "1", "question": "Lini?", "answers": [{"answer_start": 0, "text": "K"}]}],
    }
    squad = tmp_path / "qa.json"
    squad.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}), "utf-8")
    for data in (bitext, f"{bitext}:bitext", f"{clean}:groups", f"{squad}:squad:sw"):
        assert call("--data", data, "-b", groups)[0] == 0
    code, _, err = call("--data", squad, "-b", groups)
    assert code == 2
    assert f"the language is missing; write {squad}:squad:LANG" in err


def test_configs_name_the_data_and_may_name_benchmarks(call, groups, checkpoints, tmp_path):
    config = train_config(checkpoints["static"], groups).model_dump(mode="json")
    path = tmp_path / "config.yaml"

    def written(**changes):
        path.write_text(yaml.safe_dump({**config, **changes}), "utf-8")
        return path

    assert call(written(audit=[{"benchmark": str(groups)}]))[0] == 1
    assert call(written(), "-b", groups)[0] == 1
    for changes in ({"audit": []}, {}):
        written(**changes)
        if not changes:
            path.write_text(yaml.safe_dump({k: v for k, v in config.items() if k != "audit"}))
        code, _, err = call(path)
        assert (code, "no benchmark to look for; name one with --benchmark" in err) == (2, True)
    path.write_text(yaml.safe_dump({"data": config["data"]}), "utf-8")
    assert call(path, "-b", groups)[0] == 1
    path.write_text(
        yaml.safe_dump(
            {
                "encoders": [{"label": "tiny", "name": "tiny"}],
                "benchmarks": [{"benchmark": str(groups)}],
                "data": config["data"],
            }
        ),
        "utf-8",
    )
    assert call(path)[0] == 1


def test_only_the_languages_of_the_config_count(call, groups, checkpoints, tmp_path):
    config = train_config(checkpoints["static"], groups).model_dump(mode="json")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**config, "languages": ["de"]}), "utf-8")
    call(path, "-b", f"{groups}:en,de", "-o", tmp_path / "out")
    (record,) = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))["benchmarks"]
    languages = record["queries"]["languages"]
    assert languages["de"]["exact"] > 0
    assert languages["en"]["exact"] == 0
    assert languages["en"]["parallel"] > 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "name the training data, by a config or by --data FILE, and not by both"),
        (["c.yaml", "--data", "x"], "name the training data, by a config or by --data FILE"),
        (["/nowhere.yaml", "-b", "mini"], "/nowhere.yaml: no such config file"),
        (["--data", "/nowhere.jsonl", "-b", "mini"], "/nowhere.jsonl"),
        (["--data", "/nowhere.jsonl:groups", "-b", "nonsuch"], "'nonsuch' is neither a known name"),
        (["--data", "/nowhere.jsonl:groups"], "no benchmark to look for"),
        (["--data", "x:groups", "-b", "mini", "--max-share", "2"], "--max-share"),
    ],
)
def test_a_wrong_line(call, line, message):
    code, out, err = call(*line)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


def test_a_config_is_told_the_faults_of_the_nearest_schema(call, tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("model: {name: x}\ndata: [{path: y}]\ntrainig: {steps: 3}\n", "utf-8")
    code, _, err = call(path, "-b", "mini")
    assert code == 2
    assert "unknown key 'trainig'; did you mean 'training'?" in err


def test_collections_are_no_training_data(call, tmp_path):
    (tmp_path / "qrels").mkdir()
    write_jsonl(tmp_path / "corpus.jsonl", [{"_id": "d", "text": "a passage", "lang": "en"}])
    write_jsonl(tmp_path / "queries.jsonl", [{"_id": "q", "text": "a query", "lang": "en"}])
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n", "utf-8")
    code, _, err = call("--data", tmp_path, "-b", "mini")
    assert code == 2
    assert "is in beir layout, which is no training data; allowed: groups, bitext" in err


def test_a_complete_report_is_replaced_only_on_demand(call, groups, clean, tmp_path):
    line = ("--data", clean, "-b", groups, "-o", tmp_path / "out")
    assert call(*line)[0] == 0
    code, _, err = call(*line)
    assert (code, "already holds a complete result" in err) == (2, True)
    assert call(*line, "--overwrite")[0] == 0


def test_an_experiment_warns_and_goes_on(grid, tmp_path):  # noqa: F811
    lines = []
    config = grid(audit=True, regimes=["hybrid"], seeds=[0])
    run_experiment(config, tmp_path / "grid", lines.append)
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "36 of 36 queries leak (100.00 %)" in warnings[0]
    record = json.loads((tmp_path / "grid" / "audit.json").read_text("utf-8"))
    assert record["benchmarks"][0]["queries"]["leaking"] == 36
    again = []
    run_experiment(config, tmp_path / "grid", again.append)
    assert not any("leak" in line for line in again), "nothing is left to be trained"


def audited(config, *benchmarks, **options):
    audit = [{"benchmark": str(benchmark)} for benchmark in benchmarks]
    return TrainConfig.model_validate(config.model_dump(mode="json") | {"audit": audit} | options)


def test_train_looks_for_the_embedded_collection_unless_told_otherwise(
    checkpoints, groups, tmp_path
):
    config = train_config(checkpoints["static"], groups)
    run_training(config, tmp_path / "default")
    record = json.loads((tmp_path / "default" / "audit.json").read_text("utf-8"))
    assert [entry["benchmark"] for entry in record["benchmarks"]] == ["mini"]
    lines = []
    run_training(audited(config), tmp_path / "none", lines.append)
    assert not (tmp_path / "none" / "audit.json").exists()
    assert lines == []


def test_train_stores_the_audit_in_the_run_folder_and_warns(checkpoints, groups, tmp_path):
    config = audited(train_config(checkpoints["static"], groups), groups)
    lines = []
    run_training(config, tmp_path / "run", lines.append)
    record = json.loads((tmp_path / "run" / "audit.json").read_text("utf-8"))
    assert record["benchmarks"][0]["exceeds"] is True
    assert is_complete(tmp_path / "run")
    assert lines[0] == "looking for the benchmarks in the training data"
    assert len(lines) == 2 and lines[1].startswith("warning: ") and "leak" in lines[1]


def test_leaking_groups_can_be_left_out_of_the_training(checkpoints, groups, tmp_path):
    leaking = groups.read_text("utf-8").splitlines()[:2]
    (tmp_path / "benchmark.jsonl").write_text("\n".join(leaking) + "\n", "utf-8")
    config = train_config(checkpoints["static"], groups)
    lines = []
    run_training(
        audited(config, tmp_path / "benchmark.jsonl", leave_out_leaks=True),
        tmp_path / "run",
        lines.append,
    )
    assert lines[1] == "2 groups with texts of the benchmarks are left out"
    record = json.loads((tmp_path / "run" / "audit.json").read_text("utf-8"))
    (left_out,) = record["benchmarks"][0]["training_groups"].values()
    assert sorted(left_out) == sorted(json.loads(line)["id"] for line in leaking)
    census = json.loads((tmp_path / "run" / "census.json").read_text("utf-8"))
    total = len(groups.read_text("utf-8").splitlines())
    assert census["available"]["groups"] == total - config.development.groups - len(leaking)


def test_a_dry_run_counts_the_groups_of_the_run(checkpoints, groups, tmp_path):
    (tmp_path / "benchmark.jsonl").write_text(groups.read_text("utf-8").splitlines()[0], "utf-8")
    config = train_config(checkpoints["static"], groups)
    leaving_out = audited(config, tmp_path / "benchmark.jsonl", leave_out_leaks=True)
    assert len(plan_batches(leaving_out).table) == len(plan_batches(config).table) - 1


def test_a_data_set_of_which_nothing_is_left_says_why(checkpoints, groups, tmp_path):
    config = audited(train_config(checkpoints["static"], groups), groups, leave_out_leaks=True)
    with pytest.raises(ConfigError, match="leave_out_leaks: every group of groups holds a text"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_leaking_development_groups_are_left_out_too(checkpoints, groups, tmp_path):
    rows = groups.read_text("utf-8").splitlines()
    for name, part in (("dev", rows[:4]), ("benchmark", rows[:1]), ("train", rows[4:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(part) + "\n", "utf-8")
    config = train_config(
        checkpoints["static"],
        tmp_path / "train.jsonl",
        development={"path": str(tmp_path / "dev.jsonl"), "groups": 0},
    )
    data = load_training_data(config)
    leaks = audit_data(config, [load_benchmark(str(tmp_path / "benchmark.jsonl"))])
    left = load_training_data(config, leaks)
    assert (len(data.development), len(left.development)) == (4, 3)
    assert len(left.table) == len(data.table)


def test_a_run_is_not_gone_on_with_other_benchmarks(checkpoints, groups, tmp_path):
    benchmark = tmp_path / "benchmark"
    benchmark.mkdir()
    (benchmark / "a.txt").write_text("a", "utf-8")
    config = train_config(checkpoints["static"], groups)
    audit = [{"benchmark": "xquad-r", "data": str(benchmark)}]
    config = TrainConfig.model_validate(
        config.model_dump(mode="json") | {"audit": audit, "leave_out_leaks": True}
    )
    claim_run(tmp_path / "run", config).open({}, None)
    (benchmark / "a.txt").write_text("b", "utf-8")
    with pytest.raises(ArtifactError, match=r"audit\.xquad-r/a\.txt has changed"):
        claim_run(tmp_path / "run", config)


def test_leaks_are_left_out_only_if_they_are_looked_for(checkpoints, groups):
    with pytest.raises(ValidationError, match="leave_out_leaks: needs the benchmarks to look for"):
        audited(train_config(checkpoints["static"], groups), leave_out_leaks=True)
