"""Configs: strict, overridable, complete error lines."""

from __future__ import annotations

import pytest
import yaml

from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import load_config, parse_config
from isoglot.config.schema import AlignConfig, SourceConfig, TrainConfig
from isoglot.errors import ConfigError

MINIMAL = "model: {name: some/model}\ndata:\n  - {path: groups.jsonl}\n"


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def test_defaults_are_the_papers_batches(config_file):
    config = load_config(TrainConfig, config_file)
    assert config.batches.regime == "hybrid"
    assert config.batches.monolingual_share == 0.5
    assert config.batches.size == 100
    assert (config.batches.size_exponent, config.batches.language_exponent) == (1.0, 0.0)
    assert (config.training.learning_rate, config.training.weight_decay) == (3e-5, 1e-2)


def test_overrides_reach_sections_and_list_items(config_file):
    sets = ["batches.monolingual_share=0.3", "data.0.name=mine", "languages=[swa, yo]"]
    config = load_config(TrainConfig, config_file, sets)
    assert config.batches.monolingual_share == 0.3
    assert config.data[0].label == "mine"
    assert config.languages == ("sw", "yo")


def test_a_resolved_config_reads_back_equal(config_file, tmp_path):
    config = load_config(TrainConfig, config_file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    assert load_config(TrainConfig, copy) == config


def test_the_paper_preset_fills_in_what_the_paper_states(config_file):
    config = load_config(TrainConfig, config_file, ["preset=paper", "batches.size=32"])
    assert config.loss.negatives == "explicit"
    assert config.planned_batches.negatives_per_query == 1
    assert (config.model.query_prompt, config.model.passage_prompt) == ("Query: ", "Passage: ")
    assert config.batches.size == 32, "the file and --set go before the preset"


def test_explicit_negatives_are_drawn_only_for_losses_that_use_them(config_file):
    for negatives, count in (("in-batch", 0), ("explicit", 1), ("both", 1)):
        config = load_config(TrainConfig, config_file, [f"loss.negatives={negatives}"])
        assert config.planned_batches.negatives_per_query == count


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["loss.temprature=0.1"], r"unknown key 'loss.temprature'; did you mean 'temperature'\?"),
        (["zzz=1"], r"unknown key 'zzz'; allowed: data, languages, batches"),
        (["loss.temperature=0"], r"loss.temperature: input should be greater than 0, got 0"),
        (["training.seed=4294967296"], r"training.seed: input should be less than 4294967296"),
        (["training.save_every=10"], r"unknown key 'training.save_every'"),
        (["batches.regime=mixed"], r"batches.regime: input should be 'monolingual'"),
        (["languages=[en, klingon]"], r"unknown language 'klingon'; use an ISO 639-1 code"),
        (["data=[]"], r"data: tuple should have at least 1 item"),
        (
            ["preset=papper"],
            r"unknown preset 'papper'; allowed: paper, static; did you mean 'paper'",
        ),
        (["batches.size"], r"--set 'batches.size': expected KEY=VALUE"),
        (["model.name.x=1"], r"--set 'model.name.x=1': 'name' is a value, not a section"),
        (["data.7.path=x"], r"'7' is not a position in a list of 1"),
        (["a=[1"], r"--set 'a=\[1': the value is not valid YAML"),
        (["data.0.format=squad"], r"groups.jsonl: a squad file needs its 'language'"),
        (["data.0.sources=[a]"], r"groups.jsonl: 'sources' are for format: bitext, not groups"),
        (
            ["batches.dataset_weights={x: 2}"],
            r"batches.dataset_weights: no data set is named 'x'; allowed: groups",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(config_file, sets, message):
    with pytest.raises(ConfigError, match=message) as error:
        load_config(TrainConfig, config_file, sets)
    assert "\n" not in str(error.value)


def test_all_faults_are_reported_together(config_file):
    with pytest.raises(ConfigError, match=r"unknown key 'a'.*; unknown key 'b'"):
        load_config(TrainConfig, config_file, ["a=1", "b=2"])


def test_a_missing_key_is_named(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: [{path: x.jsonl}]", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"c.yaml: missing key 'model'"):
        load_config(TrainConfig, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model: {name: x", r"c.yaml:1: not valid YAML"),
        (b"- a\n- b\n", r"c.yaml: expected a mapping of keys, got list"),
        (b"\xff\xfe", r"c.yaml: cannot be read"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path, content, message):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(TrainConfig, path)
    with pytest.raises(ConfigError, match=r"none.yaml: no such config file"):
        load_config(TrainConfig, tmp_path / "none.yaml")


def test_explicit_negatives_that_the_loss_does_not_use_are_refused(config_file):
    sets = ["batches.negatives_per_query=2"]
    message = r"negatives_per_query: 2 explicit negatives, which loss.negatives: in-batch does not"
    with pytest.raises(ConfigError, match=message):
        load_config(TrainConfig, config_file, sets)
    config = load_config(TrainConfig, config_file, [*sets, "loss.negatives=both"])
    assert config.planned_batches.negatives_per_query == 2


@pytest.mark.parametrize("schema", [TrainConfig, AlignConfig, ExperimentConfig])
def test_two_data_sets_of_one_name_are_refused(schema):
    needed = {TrainConfig: {"model": {"name": "m"}}, AlignConfig: {}, ExperimentConfig: GRID}
    data = [{"path": "a/x.jsonl"}, {"path": "b/x.jsonl.gz"}]
    with pytest.raises(ConfigError, match=r"data: name 'x' is used twice; set 'name'"):
        parse_config(schema, {**needed[schema], "data": data})


def test_a_source_is_labelled_by_its_file_name():
    assert SourceConfig(path="a/b/courses.jsonl.gz").label == "courses"
    assert SourceConfig(path="a/b/courses.jsonl.gz", name="mine").label == "mine"


def test_alignment_defaults_skip_languages_that_are_too_small():
    config = parse_config(AlignConfig, {"data": [{"path": "b.tsv", "format": "bitext"}]})
    assert config.batches.small_languages == "skip"


def test_a_cell_of_an_experiment_is_an_ordinary_training():
    values = {
        "encoders": [{"label": "m", "name": "some/model", "query_prompt": "Query: "}],
        "benchmarks": [{"benchmark": "xquad-r"}, {"benchmark": "miracl:sw,bn"}],
        "data": [{"path": "groups.jsonl"}],
    }
    config = parse_config(ExperimentConfig, values)
    cell = config.train_config(config.encoders[0], "cross-lingual", 7)
    assert cell.model.query_prompt == "Query: "
    assert (cell.batches.regime, cell.training.seed) == ("cross-lingual", 7)
    assert [benchmark.label for benchmark in config.benchmarks] == ["xquad-r", "miracl-sw-bn"]


def test_naming_one_key_of_an_alignment_keeps_the_other_defaults():
    values = {
        "data": [{"path": "b.tsv", "format": "bitext"}],
        "training": {"seed": 1},
        "batches": {"regime": "cross-lingual"},
    }
    config = parse_config(AlignConfig, values)
    assert (config.training.steps, config.training.learning_rate) == (4000, 2e-2)
    assert (config.batches.size, config.batches.small_languages) == (2048, "skip")


def test_an_alignment_has_no_explicit_negatives():
    values = {"data": [{"path": "b.tsv"}], "loss": {"negatives": "both"}}
    with pytest.raises(
        ConfigError, match=r"loss.negatives: input should be 'in-batch', got 'both'"
    ):
        parse_config(AlignConfig, values)


GRID = {
    "encoders": [{"label": "m", "name": "some/model"}],
    "benchmarks": [{"benchmark": "xquad-r"}],
    "data": [{"path": "groups.jsonl"}],
}


def test_the_paper_preset_gives_its_prompts_to_every_encoder_of_an_experiment(tmp_path):
    path = tmp_path / "grid.yaml"
    encoders = [*GRID["encoders"], {"label": "own", "name": "x", "query_prompt": "Q: "}]
    path.write_text(yaml.safe_dump({**GRID, "encoders": encoders, "preset": "paper"}), "utf-8")
    config = load_config(ExperimentConfig, path)
    assert [encoder.query_prompt for encoder in config.encoders] == ["Query: ", "Q: "]
    assert config.loss.negatives == "explicit"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [0, 0]}, r"seeds: seed '0' is used twice"),
        ({"regimes": ["hybrid", "hybrid"]}, r"regimes: regime 'hybrid' is used twice"),
        ({"encoders": GRID["encoders"] * 2}, r"encoders: label 'm' is used twice"),
        ({"batches": {"negatives_per_query": 1}}, r"loss.negatives: in-batch does not use"),
        ({"seeds": [2**32]}, r"seeds.0: input should be less than 4294967296"),
        ({"benchmarks": GRID["benchmarks"] * 2}, r"benchmark 'xquad-r' is used twice"),
        ({"encoders": [{"label": "../x", "name": "m"}]}, r"encoders.0.label: string should match"),
    ],
)
def test_cells_of_an_experiment_must_have_folders_of_their_own(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(ExperimentConfig, {**GRID, **changes})


def test_forms_of_a_benchmark_have_titles_and_folders_of_their_own():
    benchmarks = [
        {"benchmark": "xquad-r"},
        {"benchmark": "xquad-r", "candidates": "sentence-with-paragraph"},
        {"benchmark": "miracl:sw", "split": "train"},
        {"benchmark": "miracl:sw", "passage_text": "text"},
        {"benchmark": "some/folder/mine/"},
    ]
    config = parse_config(ExperimentConfig, {**GRID, "benchmarks": benchmarks})
    assert [(benchmark.title, benchmark.label) for benchmark in config.benchmarks] == [
        ("xquad-r", "xquad-r"),
        ("xquad-r, sentence-with-paragraph", "xquad-r-sentence-with-paragraph"),
        ("miracl:sw, train", "miracl-sw-train"),
        ("miracl:sw, without titles", "miracl-sw-without-titles"),
        ("some/folder/mine/", "mine"),
    ]
