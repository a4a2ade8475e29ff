"""The command line: exit codes, one line per mistake, and nothing half-written."""

import json
import os
import statistics
import subprocess
import sys
import time

import pytest
import yaml

from isoglot import __version__
from isoglot.artifacts import is_complete
from tests.data.builders import write_jsonl
from tests.training.runs import train_config, write_training_groups

GROUP = {"id": "1", "query": {"en": "q", "sw": "s"}, "passage": {"en": "p", "sw": "t"}}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture
def config_file(checkpoints, groups, tmp_path):
    """Write the config of a training run, with changes to its sections, to a file."""

    def write(**sections):
        values = train_config(checkpoints["static"], groups).model_dump(
            mode="json", exclude={"audit"}
        )
        for name, section in sections.items():
            both = isinstance(section, dict) and isinstance(values.get(name), dict)
            values[name] = {**values[name], **section} if both else section
        path = tmp_path / "train.yaml"
        path.write_text(yaml.safe_dump(values), "utf-8")
        return str(path)

    return write


def process(*arguments, code="from isoglot.__main__ import main; main()"):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def test_version(call):
    assert call("--version") == (0, f"isoglot {__version__}\n", "")


def test_help_names_every_command(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    assert all(name in out for name in ("align", "data", "evaluate", "experiment", "train"))


def test_a_line_without_a_command_shows_the_help_and_fails(call):
    code, out, err = call()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: isoglot") and err.count("\n") > 5


def test_help_is_quick_and_imports_no_torch():
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        assert process("--help").returncode == 0
        seconds.append(time.monotonic() - started)
    # Half a second is the aim; the bound leaves room for busy machines.
    assert statistics.median(seconds) < 1.0
    code = "import sys; from isoglot.cli.app import run; run(['--help']); print(*sys.modules)"
    modules = process(code=code).stdout.split()
    heavy = {"torch", "transformers", "sentence_transformers", "pandas", "sklearn"}
    assert not heavy & set(modules)


def test_exit_codes_of_the_process(tmp_path):
    assert process("--version").returncode == 0
    wrong = process("data", "check", str(tmp_path / "nowhere"))
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr


def test_a_fault_of_ours_is_one_line_and_exit_code_1(call, monkeypatch, config_file, tmp_path):
    def fail(*_):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr("isoglot.pipeline.training.run_training", fail)
    code, _, err = call("train", config_file(), "-o", tmp_path / "run")
    assert code == 1
    line = "internal error, ZeroDivisionError: by chance; --debug shows where it happened"
    assert err == f"isoglot: {line}\n"


def test_an_interrupt_is_exit_code_130(call, monkeypatch, config_file, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("isoglot.pipeline.training.run_training", interrupt)
    code, _, err = call("train", config_file(), "-o", tmp_path / "run")
    assert (code, err) == (130, "isoglot: interrupted\n")


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_shows_the_traceback(call, tmp_path, place):
    line = ["data", "check", tmp_path / "nowhere"]
    code, _, err = call(*(["--debug", *line] if place == "first" else [*line, "--debug"]))
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("isoglot: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["evaluate", "-m", "x", "-b", "mini"], "Missing option '--output' / '-o'"),
        (["evaluate", "-m", "x", "-b", "mini", "-o", "y", "--deep"], "No such option"),
        (["evaluate", "-m", "x", "-b", "mini", "-o", "y", "--run-depth", "-1"], "--run-depth"),
        (["train"], "Missing argument"),
        (["train", "/nowhere.yaml"], "/nowhere.yaml: no such config file"),
        (["evaluate", "-m", "x", "-b", "nonsuch", "-o", "y"], "'nonsuch' is neither a known name"),
    ],
)
def test_a_wrong_command_line(refused, line, message):
    assert message in refused(*line)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"trainig": {"steps": 3}}, "unknown key 'trainig'; did you mean 'training'?"),
        ({"training": {"step": 3}}, "unknown key 'training.step'; did you mean 'steps'?"),
        ({"training": {"steps": 0}}, "training.steps"),
        ({"languages": ["en", "xx"]}, "unknown language 'xx'"),
        ({"languages": ["en", "fr"]}, "no training text in fr; the data has de, en, sw"),
        ({"batches": {"size": 40}}, "a monolingual batch needs 40 different groups"),
        ({"development": {"groups": 6}}, "6 of 12 groups is too many to hold out"),
        ({"model": {"name": "nobody/nothing"}}, "'nobody/nothing' is not a folder"),
    ],
)
def test_a_wrong_training_config_leaves_no_folder(
    refused, config_file, tmp_path, sections, message
):
    assert message in refused("train", config_file(**sections), "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([GROUP, '{"id": "2", "query": '], ":2: not valid JSON"),
        ([GROUP, {**GROUP, "id": "2", "query": {"en": " "}}], ":2: query.en: the text is empty"),
        ([GROUP, GROUP], ":2: group id '1' comes twice; ids must be unique"),
        ([GROUP, {**GROUP, "id": "2", "query": {"xx": "a"}}], ":2: query: unknown language 'xx'"),
        ([GROUP, {"id": "2", "query": {"en": "q"}}], ":2: no field 'passage'"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_number(
    refused, config_file, tmp_path, lines, message
):
    path = tmp_path / "broken.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    config = config_file(data=[{"path": str(path)}])
    assert f"{path}{message}" in refused("train", config, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert f"{path}{message}" in refused("data", "check", path)


def beir_folder(folder, doc_id="d1", **lang):
    write_jsonl(folder / "corpus.jsonl", [{"_id": "d1", "text": "a passage", **lang}])
    write_jsonl(folder / "queries.jsonl", [{"_id": "q1", "text": "a query", **lang}])
    (folder / "qrels").mkdir()
    qrels = f"query-id\tcorpus-id\tscore\nq1\t{doc_id}\t1\n"
    (folder / "qrels" / "test.tsv").write_text(qrels, "utf-8")
    return folder


def wrong_layout(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("nothing to see", "utf-8")
    return folder


def spaced_ids(folder):
    return write_jsonl(folder / "groups.jsonl", [{**GROUP, "id": "one two"}])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda folder: beir_folder(folder, "d9", lang="en"), "'d9'"),
        (wrong_layout, "layout"),
        (spaced_ids, "id 'one two' is empty or has white space"),
    ],
)
def test_a_wrong_benchmark_leaves_no_folder(refused, checkpoints, tmp_path, build, message):
    benchmark = build(tmp_path / "benchmark")
    line = ("evaluate", "-m", checkpoints["static"], "-b", benchmark, "-o", tmp_path / "out")
    assert message in refused(*line)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_languages_is_read_in_the_language_given(
    refused, call, checkpoints, tmp_path
):
    benchmark = beir_folder(tmp_path / "benchmark")
    line = ("evaluate", "-m", checkpoints["static"], "-b", benchmark, "-o", tmp_path / "out")
    assert "name the language of the whole folder with --lang" in refused(*line)
    assert "unknown language 'xx'" in refused(*line, "--lang", "xx")
    assert call(*line, "--lang", "swa")[0] == 0
    assert [path.name for path in (tmp_path / "out" / "runs").iterdir()] == ["sw.trec"]


def test_a_wrong_model_or_measure_leaves_no_folder(refused, checkpoints, groups, tmp_path):
    line = ("evaluate", "-b", groups, "-o", tmp_path / "out", "-m")
    assert "no such folder" in refused(*line, "./nowhere")
    assert "nDCG@ten" in refused(*line, checkpoints["static"], "--measure", "nDCG@ten")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_an_output_that_is_a_file_or_below_one(
    refused, checkpoints, config_file, groups, tmp_path, command
):
    (tmp_path / "file").write_text("keep me")
    line = {
        "train": ("train", config_file()),
        "evaluate": ("evaluate", "-m", checkpoints["static"], "-b", groups),
    }[command]
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "file" in refused(*line, "-o", output)
    assert (tmp_path / "file").read_text() == "keep me"


def test_train_prints_the_folder_of_the_model(call, config_file, tmp_path):
    code, out, _ = call("train", config_file(), "-o", tmp_path / "run")
    assert (code, out) == (0, f"model: {tmp_path / 'run' / 'model'}\n")
    assert is_complete(tmp_path / "run")


def test_train_needs_an_output(refused, config_file):
    assert "--output is missing" in refused("train", config_file())


def test_a_value_is_overridden_on_the_line(call, config_file, tmp_path):
    code, _, _ = call(
        *("train", config_file(), "-o", tmp_path / "run", "--set", "training.steps=2"),
        *("--set", "batches.regime=monolingual"),
    )
    assert code == 0
    stored = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text("utf-8"))
    assert (stored["training"]["steps"], stored["batches"]["regime"]) == (2, "monolingual")


def test_a_complete_run_is_not_overwritten(refused, call, config_file, tmp_path):
    assert call("train", config_file(), "-o", tmp_path / "run")[0] == 0
    message = refused("train", config_file(), "-o", tmp_path / "run")
    assert "already holds a complete result; choose another --output or delete" in message


def test_dry_run_prints_the_census_and_writes_nothing(call, config_file, tmp_path):
    code, out, err = call("train", config_file(), "--dry-run", "-o", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "9 groups of 9 meanings, 3 languages, 6 ordered pairs" in out
    # 9 groups in 3 languages: 9 x 3 rows within a language, 9 x 6 between two.
    row = next(line for line in out.splitlines() if line.startswith("groups"))
    assert row.split()[1:] == ["27", "54", "6"]
    assert not (tmp_path / "run").exists()


def test_show_batch_prints_the_rows_of_one_batch(call, config_file):
    code, out, _ = call("train", config_file(loss={"negatives": "both"}), "--show-batch", "3")
    assert code == 0
    assert out.startswith("batch 3: ")
    assert [out.count(word) for word in ("  query ", "  passage ", "  negative ")] == [4, 4, 4]
    assert call("train", config_file(loss={"negatives": "both"}), "--show-batch", "3")[1] == out


def test_evaluate_writes_what_scripts_rely_on(call, checkpoints, groups, tmp_path):
    out = tmp_path / "out"
    code, shown, _ = call("evaluate", "-m", checkpoints["static"], "-b", groups, "-o", out)
    assert code == 0
    assert f"results: {out}" in shown
    names = {"metrics.json", "settings.parquet", "per_query.parquet", "provenance.json"}
    names |= {"ranks.parquet", "examples.jsonl"}
    assert {path.name for path in out.iterdir()} == {
        *names,
        *("config.yaml", "runs", "qrels", "COMPLETE"),
    }
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert list(metrics["summary"]) == ["monolingual", "cross-lingual", "multilingual"]
    stored = yaml.safe_load((out / "config.yaml").read_text("utf-8"))
    assert stored["model"]["name"] == str(checkpoints["static"])
    assert stored["evaluation"]["benchmark"] == str(groups)


def test_a_complete_evaluation_is_refused_before_anything_is_loaded(
    refused, call, checkpoints, groups, tmp_path
):
    out = tmp_path / "out"
    assert call("evaluate", "-m", checkpoints["static"], "-b", groups, "-o", out)[0] == 0
    before = (out / "metrics.json").read_text("utf-8")
    message = refused("evaluate", "-m", "./nowhere", "-b", "nonsuch", "-o", out)
    assert "already holds a complete result; choose another --output or add --overwrite" in message
    assert is_complete(out)
    assert (out / "metrics.json").read_text("utf-8") == before


def test_overwrite_leaves_nothing_of_the_earlier_evaluation(
    refused, call, checkpoints, groups, tmp_path
):
    out = tmp_path / "out"
    line = ("evaluate", "-m", checkpoints["static"], "-o", out, "--overwrite", "-b")
    assert call(*line, groups)[0] == 0
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        "de.trec",
        "en.trec",
        "sw.trec",
    ]
    assert "no such" in refused(*line, groups, "-m", "./nowhere")
    assert is_complete(out), "a mistake in the line must not cost the earlier result"
    (out / "runs" / "mine").mkdir()
    small = write_jsonl(tmp_path / "small.jsonl", [GROUP, {**GROUP, "id": "2"}])
    assert call(*line, small)[0] == 0
    for name, ending in (("runs", "trec"), ("qrels", "qrels")):
        found = sorted(path.name for path in (out / name).iterdir())
        assert [file for file in found if file != "mine"] == [f"en.{ending}", f"sw.{ending}"]
    assert (out / "runs" / "mine").is_dir(), "what is not ours stays"


def test_align_and_experiment_refuse_a_misspelt_key(refused, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("dta: []\n", "utf-8")
    for command in ("align", "experiment"):
        assert "unknown key 'dta'; did you mean 'data'?" in refused(
            command, path, "-o", tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_with_another_config_is_not_overwritten(refused, checkpoints, groups, tmp_path):
    own = tmp_path / "project" / "config.yaml"
    own.parent.mkdir()
    own.write_text("mine: 1\n", "utf-8")
    line = ("evaluate", "-m", checkpoints["static"], "-b", groups, "-o", own.parent)
    for options in ((), ("--overwrite",)):
        assert "is not the config of an evaluation and would be lost" in refused(*line, *options)
    assert own.read_text("utf-8") == "mine: 1\n"


def test_options_of_the_model_reach_it(call, checkpoints, groups, tmp_path):
    out = tmp_path / "out"
    options = ("--query-prompt", "query: ", "--passage-prompt", "passage: ", "--max-tokens", 16)
    assert call("evaluate", "-m", checkpoints["xlm-r"], "-b", groups, "-o", out, *options)[0] == 0
    model = yaml.safe_load((out / "config.yaml").read_text("utf-8"))["model"]
    assert (model["query_prompt"], model["passage_prompt"]) == ("query: ", "passage: ")
    assert model["max_tokens"] == 16


def test_a_development_measure_that_is_none_is_refused_before_training(
    refused, config_file, tmp_path
):
    config = config_file(development={"measure": "APP", "groups": 3})
    assert "APP" in refused("train", config, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_prepared_config_has_its_tokens_and_training_makes_none(
    call, config_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    code, out, _ = call("data", "prepare", config_file())
    assert code == 0
    assert "all: 12 groups" in out
    assert "tokens of " in out
    monkeypatch.setattr("isoglot.data.tokens._fill", None)
    assert call("train", config_file(), "-o", tmp_path / "run")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "folder"], "--data and --split are of benchmarks"),
        (["--split", "dev"], "--data and --split are of benchmarks"),
    ],
)
def test_options_of_benchmarks_are_refused_with_a_config(refused, config_file, options, message):
    assert message in refused("data", "prepare", config_file(), *options)


def test_a_benchmark_has_no_config_to_change(refused):
    assert "--set changes a config" in refused("data", "prepare", "mini", "--set", "a=b")
