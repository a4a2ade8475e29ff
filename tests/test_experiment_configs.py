"""The committed experiments: valid, and those of the paper run end to end on tiny checkpoints."""

import json
from pathlib import Path

import pytest

from isoglot.artifacts import read_json, read_yaml
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import load_config
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.experiment import run_experiment
from isoglot.records import Group
from isoglot.reporting.tables import RunResult, compare
from tests.data.builders import lareqa_paragraph, squad, write_json, write_jsonl

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments"
PARALLEL = ("ar", "de", "en", "es", "hi", "ru", "th", "tr", "zh")
OF_MMARCO = ("ar", "de", "en", "es", "hi", "ru", "zh")
LANGS = {"mmarco": OF_MMARCO, "mfaq": ("en",), "mr-tydi": ("en",), "squadshifts": ("en",)}
"""Of the data sets that are not in all nine languages."""


def in_languages(texts, langs):
    """The embedded groups have no Russian; Swahili stands for it."""
    return {lang: texts["sw" if lang == "ru" else lang] for lang in langs}


@pytest.fixture(scope="module")
def paper_data(tmp_path_factory):
    """Data in the layout that experiments/README.md asks for, a few groups each."""
    folder = tmp_path_factory.mktemp("paper")
    config = load_config(ExperimentConfig, EXPERIMENTS / "paper-xlmr.yaml")
    paths = [source.path for source in config.data] + [config.development.path]
    groups = load_mini_groups("train")
    for number, path in enumerate(map(Path, paths)):
        name = path.name.split(".")[0]
        langs = LANGS.get(name, PARALLEL)
        own = groups[8 * number : 8 * number + 8]
        write_groups(
            folder / f"{name}.jsonl",
            [
                Group(
                    group.group_id,
                    in_languages(group.query, langs),
                    in_languages(group.passage, langs),
                    [in_languages(groups[-1 - at].passage, langs)] if name == "mmarco" else [],
                )
                for at, group in enumerate(own)
            ],
        )
    return folder


@pytest.fixture(scope="module")
def paper_benchmarks(tmp_path_factory):
    """XQuAD-R, MLQA-R and MIRACL in their layouts, two or three languages of each."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for name, langs in (("xquad-r", ("en", "de", "th")), ("mlqa-r", ("en", "de"))):
        for lang in langs:
            sentences = [f"{lang} {word}." for word in ("one", "two", "three")]
            paragraph = lareqa_paragraph(sentences, {"1": 0, "2": 2})
            write_json(folder / name / f"{lang}.json", squad(paragraph))
    for lang in ("sw", "th"):
        texts = [{"docid": f"{i}#0", "title": "T", "text": f"{lang} {i}"} for i in range(4)]
        write_jsonl(folder / "miracl" / lang / "corpus.jsonl", texts)
        (folder / "miracl" / lang / "topics.dev.tsv").write_text("7\t1?\n", "utf-8")
        (folder / "miracl" / lang / "qrels.dev.tsv").write_text("7\tQ0\t1#0\t1\n", "utf-8")
    return folder


def tiny(name, checkpoint, data, benchmarks, *more):
    """Load a config with paths, sizes and steps of its own, and nothing else."""
    config = load_config(ExperimentConfig, EXPERIMENTS / f"{name}.yaml")
    sets = [f"encoders.0.name={checkpoint}", "training.steps=2", "batches.size=3"]
    sets += [
        f"data.{number}.path={data / Path(source.path).name.removesuffix('.gz')}"
        for number, source in enumerate(config.data)
    ]
    sets += [f"development.path={data / 'squadshifts.jsonl'}", "development.every=1"]
    sets += [
        f"benchmarks.{number}.benchmark={benchmarks / bench.benchmark.split(':')[0]}"
        for number, bench in enumerate(config.benchmarks)
    ]
    sets += ["benchmarks.1.data=null", "encoders.0.max_tokens=32"]
    return load_config(ExperimentConfig, EXPERIMENTS / f"{name}.yaml", [*sets, *more])


def check_results(config, folder):
    cells = [f"{regime}-seed{seed}" for regime in config.regimes for seed in config.seeds]
    for cell in cells:
        for benchmark in ("xquad-r", "mlqa-r", "miracl"):
            metrics = read_json(folder / config.encoders[0].label / cell / benchmark / METRICS)
            assert 0 < metrics["summary"]["monolingual"]["AP"] <= 1
        model = folder / config.encoders[0].label / cell / "train" / "model"
        prompts = json.loads((model / "config_sentence_transformers.json").read_text("utf-8"))
        assert prompts["prompts"]["query"] == "Query: "
    census = read_json(folder / config.encoders[0].label / cells[0] / "train" / "census.json")
    assert census["drawn"]["batches"] == {"monolingual": 2}


METRICS = "metrics.json"


@pytest.mark.parametrize("encoder", ["xlm-r", "labse"])
def test_the_papers_experiment_runs_end_to_end(
    encoder, checkpoints, paper_data, paper_benchmarks, tmp_path
):
    name = {"xlm-r": "paper-xlmr", "labse": "paper-labse"}[encoder]
    fast = ("seeds=[0]", "regimes=[monolingual]")
    config = tiny(name, checkpoints[encoder], paper_data, paper_benchmarks, *fast)
    comparisons = run_experiment(config, tmp_path / "out", lambda line: None)
    assert [comparison.measure for comparison in comparisons] == ["AP", "nDCG@10", "R@100"]
    assert {row.encoder for row in comparisons[0].rows} == {config.encoders[0].label}
    check_results(config, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["xlm-r", "labse"])
def test_the_papers_experiment_runs_with_all_regimes_and_seeds(
    encoder, checkpoints, paper_data, paper_benchmarks, tmp_path
):
    name = {"xlm-r": "paper-xlmr", "labse": "paper-labse"}[encoder]
    config = tiny(name, checkpoints[encoder], paper_data, paper_benchmarks)
    run_experiment(config, tmp_path / "out", lambda line: None)
    check_results(config, tmp_path / "out")
    stored = read_yaml(tmp_path / "out" / "config.yaml")
    assert (len(stored["seeds"]), len(stored["regimes"])) == (3, 3)
    assert "against hybrid" in (tmp_path / "out" / "significance.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["paper-xlmr", "paper-labse"])
def test_what_the_paper_states_is_what_is_trained(name):
    config = load_config(ExperimentConfig, EXPERIMENTS / f"{name}.yaml")
    (encoder,) = config.encoders
    assert (encoder.query_prompt, encoder.passage_prompt) == ("Query: ", "Passage: ")
    hybrid = config.train_config(encoder, "hybrid", 0)
    assert (hybrid.batches.size, hybrid.batches.monolingual_share) == (100, 0.5)
    assert (hybrid.batches.size_exponent, hybrid.batches.language_exponent) == (1.0, 0.0)
    assert (hybrid.training.learning_rate, hybrid.training.weight_decay) == (3e-5, 1e-2)
    assert hybrid.loss.negatives == "explicit"
    assert hybrid.languages == PARALLEL
    assert len(hybrid.data) == 9


@pytest.mark.parametrize(
    ("name", "encoder", "published"),
    [("paper-xlmr", "XLM-R", (0.4054, 0.7628)), ("paper-labse", "LaBSE", (0.4411, 0.7954))],
)
def test_tables_12_and_13_stand_beside_ours(name, encoder, published):
    config = load_config(ExperimentConfig, EXPERIMENTS / f"{name}.yaml")
    assert {"AP", "nDCG@10", "R@100"} <= set(config.measures)
    miracl = config.benchmarks[2].title
    for measure, figure in zip(("nDCG@10", "R@100"), published, strict=True):
        metrics = {"summary": {"monolingual": {measure: 0.5}}, "bias": {}}
        own = RunResult(encoder, "hybrid", 0, miracl, metrics)
        rows = [r for r in compare([own], measure=measure).rows if r.encoder == encoder]
        hybrid = [row for row in rows if row.batches == "hybrid"]
        assert [row.figures["monolingual"].mean for row in hybrid] == [0.5, figure]
        assert {row.benchmark for row in rows} == {miracl}
        fewer = RunResult(encoder, "hybrid", 0, miracl.replace(",id", ""), metrics)
        assert len(compare([fewer], measure=measure).rows) == 1
