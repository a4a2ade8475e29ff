"""``isoglot claims`` on small experiments whose truth is known, and on what cannot be judged."""

import json
import re
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from isoglot.artifacts import is_complete, read_json, read_yaml, write_json, write_yaml
from isoglot.cli.app import run
from isoglot.cli.claims import claims
from isoglot.reporting.claims import coverage
from tests.reporting.claims.worlds import (
    BAD,
    GOOD,
    LANGS,
    MIDDLE,
    make_full_size,
    parallel_collection,
    write_audit,
    write_run,
    write_training,
    write_world,
)

COMMAND = typer.Typer(rich_markup_mode=None)
COMMAND.command()(claims)
FAST = ("--resamples", "400")

BETTER = {"hybrid": GOOD, "monolingual": MIDDLE, "cross-lingual": MIDDLE, "untrained": BAD}
WORSE = {"hybrid": BAD, "monolingual": MIDDLE, "cross-lingual": MIDDLE, "untrained": GOOD}
ALIKE = dict.fromkeys(BETTER, MIDDLE)


@pytest.fixture(scope="module", autouse=True)
def disk_is_not_waited_for():
    """Hundreds of small files are written here; none has to outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda number: None)
        yield


@pytest.fixture
def call(capsys, tmp_path):
    """Run ``isoglot claims``; return exit code, stdout, stderr and the record."""

    def run_line(*arguments):
        folder = tmp_path / "claims"
        line = [str(argument) for argument in (*arguments, *FAST, "-o", folder, "--overwrite")]
        code = run(line, command=COMMAND)
        captured = capsys.readouterr()
        record = read_json(folder / "claims.json") if code == 0 else {}
        return code, captured.out, captured.err, record

    return run_line


@pytest.fixture
def judge(call):
    """Judge runs, which must work; return the record."""

    def run_line(*arguments):
        code, out, err, record = call(*arguments)
        assert (code, err) == (0, "")
        assert "## In these runs" in out
        return record

    return run_line


@pytest.fixture
def refused(call):
    """Run a line that must fail with one line on stderr; return the line."""

    def run_line(*arguments):
        code, out, err, _ = call(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.strip()

    return run_line


@pytest.fixture(scope="module")
def better(tmp_path_factory):
    """A world in which hybrid is truly better; not to be written to."""
    return write_world(tmp_path_factory.mktemp("better"), BETTER, seeds=(0, 1, 2))


def verdict(record, number):
    return record["in_runs"][number - 1]["verdict"]


def beside(record, number, **wanted):
    """The verdict of the one line about a benchmark that is none of the paper's."""
    return line(record, number, benchmark="small", **wanted)["verdict"]


def bias(record, baseline="monolingual"):
    """The line of statement 10 about a benchmark that is none of the paper's."""
    found = lines(record, 10, benchmark="small")
    return next(one for one in found if one["figures"].get("baseline") in (baseline, None))


def lines(record, number, **wanted):
    found = record["in_runs"][number - 1]["lines"]
    return [line for line in found if all(line[k] == v for k, v in wanted.items())]


def line(record, number, **wanted):
    (found,) = lines(record, number, **wanted)
    return found


def test_where_hybrid_is_better_the_statements_hold(judge, better):
    record = judge(better)
    assert [verdict(record, number) for number in (1, 4, 5, 11)] == ["holds"] * 4
    # The benchmark is none of the paper's: shown beside.
    assert beside(record, 8) == bias(record)["verdict"] == "holds"
    assert verdict(record, 8) == verdict(record, 10) == "not testable here"
    assert line(record, 1)["figures"]["batches"] == {"monolingual": 18, "cross-lingual": 18}
    best = line(record, 8, benchmark="small")["figures"]
    assert (best["better"], best["worse"], best["not shown"]) == (2, 0, 0)
    row = best["differences"][0]
    assert (row["baseline"], row["system"], row["setting"]) == (
        *("monolingual", "hybrid", "multilingual"),
    )
    assert row["difference"] == pytest.approx(row["system_value"] - row["baseline_value"])
    assert 0 < row["seed_interval_low"] < row["difference"] < row["seed_interval_high"]
    assert row["p"] <= row["p_holm"] < 0.05
    found = bias(record)["figures"]
    assert found["seed_interval_high"] <= -0.1 * found["baseline_value"]
    assert found["change"] < -0.1 and found["measure"] == "rank distance"
    # Three languages in three settings.
    (reference,) = lines(record, 11)[0]["figures"]["references"].values()
    assert reference["better"] == 9


def test_where_hybrid_is_worse_they_do_not_hold(judge, tmp_path):
    record = judge(write_world(tmp_path / "world", WORSE, seeds=(0,)))
    assert beside(record, 8) == bias(record)["verdict"] == "does not hold"
    assert verdict(record, 11) == "does not hold"
    assert (
        "multilingual AP: worse than monolingual: 0." in line(record, 8, benchmark="small")["why"]
    )
    assert "rank distance: worse than monolingual" in bias(record)["why"]
    assert lines(record, 11)[0]["figures"]["references"]["untrained"]["worse"] == 9


def test_where_nothing_differs_no_difference_is_shown(judge, tmp_path):
    record = judge(write_world(tmp_path / "world", ALIKE, seeds=(0,)))
    assert beside(record, 8) == bias(record)["verdict"] == "does not hold"
    assert verdict(record, 11) == "does not hold"
    assert "no difference shown from monolingual" in line(record, 8, benchmark="small")["why"]
    assert line(record, 8, benchmark="small")["figures"]["not shown"] == 2
    assert "no difference shown from monolingual" in bias(record)["why"]


def test_a_small_reduction_of_bias_is_not_substantial(judge, tmp_path):
    truth = {"hybrid": (0.5, 0.98), "monolingual": (0.5, 1.0), "cross-lingual": (0.5, 1.0)}
    record = judge(write_world(tmp_path / "world", truth, seeds=(0,)))
    found = bias(record)
    assert -0.1 < found["figures"]["change"] < 0
    assert found["verdict"] == "does not hold"


def test_a_reduction_that_may_be_small_is_not_substantial(judge, tmp_path):
    # Lower by more than a tenth, and beyond chance, but perhaps by less than a tenth.
    truth = {"hybrid": (0.5, 0.9), "monolingual": (0.5, 1.0), "cross-lingual": (0.5, 1.0)}
    found = bias(judge(write_world(tmp_path / "world", truth, seeds=(0,))))
    figures = found["figures"]
    least = -0.1 * figures["baseline_value"]
    assert figures["difference"] < least < figures["interval_high"] < 0
    assert found["verdict"] == "does not hold"
    assert ", but less than the 10 % that we call substantial is not ruled out" in found["why"]


def test_published_figures_and_runs_are_kept_apart(judge, better):
    record = judge(better)
    published = [entry["verdict"] for entry in record["as_published"]]
    assert published[7:10] == ["does not hold", "does not hold", "holds"]
    text = json.dumps(record["as_published"])
    assert '"enc"' not in text and '"small"' not in text
    assert "arXiv" not in json.dumps(record["in_runs"])


def test_another_encoder_is_shown_beside_the_ninth_statement(judge, better):
    record = judge(better)
    assert verdict(record, 9) == "not testable here"
    assert line(record, 9, encoder="enc")["counts"] is False
    assert line(record, 9, encoder="enc")["verdict"] == "holds"
    assert "no runs of it" in line(record, 9, encoder="LaBSE")["why"]


@pytest.fixture
def three_languages(monkeypatch):
    """The paper's benchmarks as if they had three languages, so that worlds of them stay small."""
    published = dict.fromkeys(("xquad-r", "mlqa-r", "miracl"), frozenset(LANGS))
    monkeypatch.setattr(coverage, "published_languages", lambda: published)


def write_paper(folder, truth=BETTER, benchmarks=("xquad-r", "mlqa-r", "miracl"), **options):
    """Write a world of the paper's benchmarks, trained once; other figures for some of them."""
    first, *others = benchmarks
    measures = ("AP", "nDCG@10")
    world = write_world(
        *(folder, truth),
        **{"collection": parallel_collection(first), "measures": measures, **options},
    )
    for name in others:
        for cell in (world / "enc").glob("*-seed*"):
            regime, _, seed = cell.name.rpartition("-seed")
            write_run(
                *(cell / name, cell / "train" / "model", truth[regime]),
                seed=int(seed),
                collection=parallel_collection(name),
                measures=measures,
            )
    return world


def test_both_of_the_papers_encoders_can_be_judged(judge, tmp_path, three_languages):
    for name, kind in (("xlm-roberta-base", "xlm-roberta"), ("LaBSE", "bert")):
        world = write_paper(tmp_path / name, seeds=(0,), encoder=name)
        make_full_size(world, kind)
    record = judge(tmp_path / "xlm-roberta-base", tmp_path / "LaBSE")
    assert [verdict(record, number) for number in (2, 8, 9, 10)] == ["holds"] * 4
    assert len(lines(record, 9, counts=True)) == 6
    told = "; one seed: of these models, not of training again"
    assert all(one["why"].endswith(told) for one in lines(record, 9, counts=True))


def test_a_benchmark_that_is_missing_leaves_statements_open(judge, tmp_path, three_languages):
    names = ("xquad-r", "miracl")
    world = write_paper(tmp_path / "world", benchmarks=names, seeds=(0,), encoder="LaBSE")
    make_full_size(world, "bert")
    record = judge(world)
    for number in (8, 9):
        assert line(record, number, benchmark="xquad-r")["verdict"] == "holds"
        missing = line(record, number, benchmark="mlqa-r")
        assert missing["why"].startswith("nothing to compare on it; evaluate the models of all")
        assert verdict(record, number) == "not testable here"
    assert verdict(record, 10) == "holds"


def test_a_cut_encoder_is_not_the_one_it_is_named_after(judge, tmp_path):
    write_world(tmp_path / "world", BETTER, encoder="xlm-roberta-base")
    make_full_size(tmp_path / "world", layers=2)
    record = judge(tmp_path / "world")
    assert line(record, 9, encoder="enc")["counts"] is False
    assert any("named like XLM-R, but it is not called" in n for n in record["runs"]["notes"])


@pytest.mark.parametrize(
    ("name", "kind", "layers", "known"),
    [
        ("FacebookAI/xlm-roberta-large", "xlm-roberta", 24, "XLM-R"),
        ("FacebookAI/xlm-roberta-large", "xlm-roberta", 12, None),
        ("sentence-transformers/LaBSE", "bert", 12, "LaBSE"),
        ("cointegrated/LaBSE-en-ru", "bert", 12, None),
        ("deepset/xlm-roberta-base-squad2", "xlm-roberta", 12, None),
        ("sentence-transformers/xlm-r-100langs-bert-base-nli-stsb-mean-tokens", "bert", 12, None),
    ],
)
def test_what_is_made_from_an_encoder_is_another(judge, tmp_path, name, kind, layers, known):
    train = write_training(tmp_path / "enc" / "cell" / "train", model=name)
    make_full_size(tmp_path, kind, layers)
    record = judge(train)
    (found,) = record["runs"]["trainings"]
    assert found["published_encoder"] == known
    assert len(record["runs"]["notes"]) == (known is None)


def test_leaks_are_counted(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), audited=False)
    write_audit(world, leaks=2)
    record = judge(world)
    # 2 of 100 are above the threshold of .1 %; any leak is a sample seen.
    assert (verdict(record, 4), verdict(record, 5)) == ("does not hold", "does not hold")
    assert "2 of 100 queries leak, 0 of 100 passages leak, above 0.1 %" in line(record, 4)["why"]
    assert "(2 exact)" in line(record, 5)["why"]
    assert line(record, 5)["figures"]["queries"]["leaking"] == 2
    entry = read_json(world / "audit.json")
    write_json(world / "audit.json", {**entry, "max_share": 0.05} | _below(entry))
    record = judge(world)
    assert (verdict(record, 4), verdict(record, 5)) == ("holds", "does not hold")


def _below(entry):
    return {"benchmarks": [{**entry["benchmarks"][0], "exceeds": False}]}


def test_without_an_audit_the_command_is_named(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), audited=False)
    record = judge(world)
    assert (verdict(record, 4), verdict(record, 5)) == ("not testable here",) * 2
    assert re.search(
        r"no audit for it of 3 trainings; run isoglot audit \S+/train/config.yaml -b small -o "
        "FOLDER and give FOLDER, too",
        line(record, 4)["why"],
    )
    record = judge(world, write_audited(tmp_path / "audit"))
    assert verdict(record, 5) == "holds"
    assert "the audit does not name its training data" in line(record, 5)["why"]


def write_audited(folder):
    """The folder of ``isoglot audit -o``."""
    write_audit(folder)
    (folder / "COMPLETE").write_text("now\n", "utf-8")
    return folder


def test_an_audit_of_other_data_is_none(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), audited=False)
    source = read_yaml(world / "enc" / "hybrid-seed0" / "train" / "config.yaml")["data"][0]
    for path, expected in (("other.jsonl", "not testable here"), ("train.jsonl", "holds")):
        text = {"data": [{**source, "path": path}], "languages": None}
        write_audit(world, audited={"collections": ["small"], "texts": [text]})
        assert verdict(judge(world), 5) == expected


def test_the_worst_audit_is_above_the_threshold(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), audited=False)
    for number, folder in enumerate(sorted(world.glob("enc/*/train"))):
        # 3 leaks below a threshold are less than 1 above another.
        write_audit(folder, leaks=3 if number else 1)
        record = read_json(folder / "audit.json")
        record["benchmarks"][0]["exceeds"] = number == 0
        write_json(folder / "audit.json", record)
    record = judge(world)
    assert verdict(record, 4) == "does not hold"
    assert "1 of 100 queries leak, 0 of 100 passages leak, above 0.1 %" in line(record, 4)["why"]


def test_audits_of_parts_of_the_data_are_added_up(judge, tmp_path):
    data = [{"path": f"{name}.jsonl", "name": name} for name in ("one", "two")]
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), audited=False, data=data)
    sources = read_yaml(world / "enc" / "hybrid-seed0" / "train" / "config.yaml")["data"]
    texts = [{"data": [source], "languages": None} for source in (*sources, sources[0])]
    write_audit(world, leaks=2)
    entry = read_json(world / "audit.json")["benchmarks"][0]
    audited = {"collections": ["small"], "texts": texts}
    write_audit(world, audited=audited, benchmarks=[entry] * 3, max_share=0.03)
    record = judge(world)
    # 2 of the first and 2 of the second; the first was looked at twice.
    assert (
        "4 of 100 queries leak, 0 of 100 passages leak (at most: 2 audits of parts of the data, "
        "added up), above 3 %"
    ) in line(record, 4)["why"]
    kinds = {**entry["queries"]["kinds"], "exact": 4}
    added = {"texts": 100, "leaking": 4, "share": 0.04, "kinds": kinds}
    assert line(record, 5)["figures"]["queries"] == added


def test_a_file_that_is_both_trained_on_and_evaluated_on(judge, tmp_path):
    world = write_world(
        tmp_path / "world", BETTER, files={"train": "5ma11", "audit.small/x": "5ma11"}
    )
    record = judge(world)
    assert verdict(record, 4) == "does not hold"
    assert line(record, 4)["why"] == "a training reads a file of the benchmark: train"


def test_leaks_that_were_left_out_were_not_trained_on(judge, tmp_path):
    options = {"leave_out_leaks": True, "audit": [{"benchmark": "small"}]}
    files = {"train": "7ra1n", "audit.small/small.jsonl": "5ma11"}
    world = write_world(
        tmp_path / "world", BETTER, seeds=(0,), audited=False, files=files, **options
    )
    for folder in world.glob("enc/*/train"):
        write_audit(folder, leaks=3)
    record = judge(world)
    assert (verdict(record, 4), verdict(record, 5)) == ("holds", "holds")
    assert "(3 were found and left out of training)" in line(record, 5)["why"]


def test_a_hybrid_training_that_drew_one_kind_only(judge, tmp_path):
    write_training(tmp_path / "run", drawn={"monolingual": 12})
    record = judge(tmp_path / "run")
    assert verdict(record, 1) == "does not hold"
    # Nothing was evaluated: what needs that is open.
    assert {verdict(record, number) for number in range(2, 12)} == {"not testable here"}


def test_translations_are_no_questions_and_answers(judge, tmp_path):
    write_training(tmp_path / "run", data=[{"path": "b.jsonl", "format": "bitext"}])
    record = judge(tmp_path / "run")
    assert verdict(record, 1) == "does not hold"
    assert "translations, not questions and answers" in line(record, 1)["why"]


def test_regimes_are_known_by_config_and_not_by_folder(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    (world / "enc" / "hybrid-seed0").rename(world / "enc" / "odd-name-seed0")
    model = {"name": "somewhere/odd-name-seed0/train/model"}
    config = world / "enc" / "odd-name-seed0" / "small" / "config.yaml"
    write_yaml(config, {**read_yaml(config), "model": model})
    assert beside(judge(world), 8) == "holds"


def test_single_runs_need_no_experiment(judge, tmp_path):
    for regime, quality in BETTER.items():
        if regime != "untrained":
            train = write_training(tmp_path / "runs" / regime, regime=regime)
            write_run(tmp_path / "results" / regime, train / "model", quality)
    record = judge(tmp_path / "runs", tmp_path / "results")
    assert beside(record, 8) == "holds"
    assert line(record, 8, benchmark="small")["encoder"] == "small"
    assert "neither the encoder as it comes nor BM25" in line(record, 11)["why"]
    write_run(tmp_path / "results" / "bm25", "bm25", BAD)
    record = judge(tmp_path / "runs", tmp_path / "results")
    assert verdict(record, 11) == "holds"
    assert list(lines(record, 11)[0]["figures"]["references"]) == ["bm25"]


def test_languages_that_were_not_trained_on(judge, better):
    # The census has rows in en and sw.
    found = [one for one in lines(judge(better), 11) if one["why"].startswith("in yo, not trained")]
    assert found[0]["figures"]["references"]["untrained"]["better"] == 3


def test_a_regime_that_is_missing_leaves_the_best_open(judge, tmp_path):
    truth = {name: BETTER[name] for name in ("hybrid", "monolingual")}
    record = judge(write_world(tmp_path / "world", truth, seeds=(0,)))
    assert beside(record, 8) == "not testable here"
    assert "no runs with cross-lingual batches" in line(record, 8, benchmark="small")["why"]
    assert bias(record)["verdict"] == "holds"
    truth = {name: BETTER[name] for name in ("hybrid", "cross-lingual")}
    record = judge(write_world(tmp_path / "other", truth, seeds=(0,)))
    assert "no runs with monolingual batches" in bias(record)["why"]


def test_a_training_that_differs_in_more_is_left_out(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    for seed in (0, 1):
        cell = world / "enc" / f"warm-seed{seed}"
        write_training(cell / "train", seed=seed, loss={"temperature": 1.0})
        write_run(cell / "small", cell / "train" / "model", BAD, seed=seed)
    record = judge(world)
    assert beside(record, 8) == "holds"
    (note,) = record["runs"]["notes"]
    assert note.startswith("enc: trained in another way (loss.temperature), not compared: ")
    assert note.endswith("warm-seed0/train and 1 more")


def test_two_trios_of_one_experiment_have_names_of_their_own(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    for regime, quality in WORSE.items():
        if regime != "untrained":
            cell = world / "enc" / f"native-{regime}-seed0"
            write_training(cell / "train", regime=regime, loss={"temperature": 0.1})
            write_run(cell / "small", cell / "train" / "model", quality)
    found = {one["encoder"]: one["verdict"] for one in lines(judge(world), 8, benchmark="small")}
    assert found == {
        "enc (hybrid, monolingual, cross-lingual)": "holds",
        "enc (native-hybrid, native-monolingual, native-cross-lingual)": "does not hold",
    }


def test_encoders_of_one_name_are_told_apart_by_folder(judge, tmp_path):
    regimes = ("hybrid", "monolingual")
    for name in ("a", "b"):
        for regime in regimes:
            train = write_training(tmp_path / name / regime, regime=regime, model=f"{name}/small")
            write_run(tmp_path / "results" / name / regime, train / "model", BETTER[regime])
    found = {one["encoder"] for one in lines(judge(tmp_path), 8, benchmark="small")}
    assert found == {f"small ({tmp_path / name})" for name in ("a", "b")}
    # In one folder, by the first of each.
    for regime in regimes:
        for name in ("a", "b"):
            (tmp_path / name / regime).rename(tmp_path / f"{name}-{regime}")
    record = judge(*(tmp_path / f"{name}-{regime}" for name in "ab" for regime in regimes))
    assert {one["encoder"] for one in lines(record, 1)} == {
        f"small ({tmp_path / name}-monolingual)" for name in ("a", "b")
    }


def test_a_variant_that_is_a_regime_is_told(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    cell = world / "enc" / "another-seed0"
    write_training(cell / "train")
    write_run(cell / "small", cell / "train" / "model", BAD)
    record = judge(world)
    assert beside(record, 8) == "holds"
    assert record["runs"]["notes"] == [
        f"{world}/enc/hybrid-seed0/train and {cell}/train are both hybrid, seed 0; the first is "
        "taken"
    ]


def test_other_folders_with_a_config_are_told(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    (world / "other").mkdir()
    (world / "other" / "config.yaml").write_text("- a\n", "utf-8")
    record = judge(world)
    assert f"config.yaml holds no keys, left out: {world / 'other'}" in record["runs"]["notes"]
    (world / "config.yaml").write_text("- a\n", "utf-8")
    record = judge(world)
    assert line(record, 8, benchmark="small")["encoder"] == "small"


def test_of_a_sweep_the_papers_share_is_hybrid(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    for share in (0.0, 0.3, 1.0):
        cell = world / "enc" / f"share-{share}-seed0"
        write_training(cell / "train", batches={"monolingual_share": share})
        write_run(cell / "small", cell / "train" / "model", BAD)
    record = judge(world)
    assert beside(record, 8) == "holds"
    assert "enc: of the shares 0.3, 0.5, 0.5 stands for hybrid" in record["runs"]["notes"]
    regimes = {entry["folder"].split("/")[-2]: entry for entry in record["runs"]["trainings"]}
    assert regimes["share-0.0-seed0"]["regime"] == "cross-lingual"
    assert regimes["share-1.0-seed0"]["regime"] == "monolingual"


def test_another_share_that_stands_for_hybrid_is_told(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), batches={"monolingual_share": 0.25})
    assert "enc: hybrid has the share 0.25 here" in judge(world)["runs"]["notes"]


def test_models_changed_after_training_are_left_out(judge, better, tmp_path):
    world = shutil.copytree(better, tmp_path / "world")
    model = world / "enc" / "hybrid-seed0" / "train" / "model"
    write_run(tmp_path / "corrected", tmp_path / "corrected-model", BAD)
    write_run(tmp_path / "prompted", model, BAD, query_prompt="query: ")
    record = judge(world, tmp_path / "corrected", tmp_path / "prompted")
    assert beside(record, 8) == "holds"
    assert record["runs"]["notes"][0].startswith("2 evaluations are of models whose training is")


def test_xquad_r_is_counted(judge, tmp_path):
    langs = tuple("ar de el en es hi ru th tr vi zh".split())
    collection = parallel_collection("xquad-r", langs)
    record = judge(write_world(tmp_path / "world", BETTER, seeds=(0,), collection=collection))
    assert line(record, 2, benchmark="xquad-r")["verdict"] == "holds"
    assert (
        "enc with hybrid batches, mean AP: monolingual"
        in line(record, 2, benchmark="xquad-r")["why"]
    )
    assert line(record, 3, benchmark="xquad-r")["figures"]["answered_in_all"] == 14 * 11
    assert line(record, 3, benchmark="xquad-r")["verdict"] == "holds"
    assert line(record, 6, benchmark="xquad-r")["verdict"] == "holds"
    counts = line(record, 7, benchmark="xquad-r")
    assert counts["figures"] == {"monolingual": 11, "cross-lingual": 110, "multilingual": 11}
    assert counts["verdict"] == "holds"
    # The other benchmarks of the statements are missing.
    assert {verdict(record, number) for number in (2, 3, 6, 7)} == {"not testable here"}
    (part,) = record["low_resource"]["parts"]
    assert part["languages"] == ["hi", "th"]


def test_a_benchmark_that_is_parallel_in_part(judge, tmp_path):
    whole = parallel_collection("mlqa-r", LANGS)
    kept = [qrel for qrel in whole.qrels if (qrel.query_id, qrel.doc_id[:2]) != ("q0", "yo")]
    part = type(whole)("mlqa-r", whole.queries, whole.passages, kept, sources=whole.sources)
    write_run(tmp_path / "run", "any", GOOD, collection=part)
    found = line(judge(tmp_path / "run"), 3, benchmark="mlqa-r")
    assert found["verdict"] == "does not hold"
    # 42 queries; the three that ask q0 have two answers of three: (39 x 3 + 3 x 2) / 42.
    assert found["figures"]["answered_in_all"] == 39
    assert found["figures"]["answer_langs"] == pytest.approx(123 / 42)


@pytest.mark.parametrize("options", [False, True])
def test_miracl_mini_is_not_miracl(judge, tmp_path, options):
    collection = parallel_collection("miracl-mini")
    world = write_world(
        tmp_path / "world",
        BETTER,
        seeds=(0,),
        collection=collection,
        encoder="LaBSE",
        measures=("nDCG@10",),
    )
    make_full_size(world, "bert")
    if options:  # its title is then another one
        other = replace(collection, options={"passage_text": "text"})
        write_run(tmp_path / "world" / "bm25", "bm25", BAD, collection=other, measures=("nDCG@10",))
    record = judge(world)
    title = "miracl-mini (default)" if options else "miracl-mini"
    assert line(record, 2, benchmark="miracl")["verdict"] == "not testable here"
    mini = line(record, 2, benchmark="miracl-mini")
    assert mini["counts"] is False
    assert "MIRACL-mini is cut from MIRACL and is not it" in mini["why"]
    for number in (8, 9, 10):
        found = lines(record, number, benchmark=title)
        assert {one["verdict"] for one in found} == {"holds"}
        assert {one["counts"] for one in found} == {False}
        assert verdict(record, number) == "not testable here"


def test_options_do_not_hide_a_benchmark_of_the_paper(judge, tmp_path, three_languages):
    world = write_paper(tmp_path / "world", WORSE, seeds=(0,), encoder="LaBSE")
    make_full_size(world, "bert")
    other = replace(parallel_collection("xquad-r"), options={"candidates": "answers"})
    write_run(world / "bm25", "bm25", BAD, collection=other)
    record = judge(world)
    for number in (8, 9, 10):
        found = lines(record, number, benchmark="xquad-r (default)", counts=True)
        assert {one["verdict"] for one in found} == {"does not hold"}
    assert line(record, 2, benchmark="xquad-r")["figures"]["hybrid"].keys() == {
        "enc, xquad-r (default)"
    }


def test_two_benchmarks_of_one_name_are_told_apart(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    other = replace(parallel_collection(), options={"split": "train"})
    for cell in (world / "enc").glob("*-seed0"):
        quality = GOOD if cell.name.startswith("hybrid") else BAD
        write_run(cell / "train-split", cell / "train" / "model", quality, collection=other)
    found = line(judge(world), 2, benchmark="small")["figures"]["hybrid"]
    assert found.keys() == {"enc, small (default)", "enc, small (split train)"}


def test_some_of_the_languages_are_not_the_benchmark(judge, tmp_path):
    part = parallel_collection("xquad-r", ("en", "hi"))
    world = write_world(tmp_path / "world", BETTER, seeds=(0,), collection=part, encoder="LaBSE")
    make_full_size(world, "bert")
    record = judge(world)
    for number in (2, 3, 7, 8, 9, 10):
        found = lines(record, number, benchmark="xquad-r")
        assert {one["verdict"] for one in found} == {"not testable here"}
        assert all("evaluated in 2 of 11 languages" in one["why"] for one in found)


def test_the_run_with_most_languages_is_counted(judge, tmp_path):
    langs = tuple("ar de el en es hi ru th tr vi zh".split())
    for name, own in (("a", ("en", "hi")), ("b", langs), ("c", ("ar",))):
        collection = parallel_collection("xquad-r", own, sources={f"{name}.json": name})
        write_run(tmp_path / name, f"model-{name}", GOOD, collection=collection)
    record = judge(tmp_path)
    for number in (3, 7):
        assert line(record, number, benchmark="xquad-r")["verdict"] == "holds"


def test_a_run_without_the_benchmarks_measure_is_left_out(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER)
    cell = world / "enc" / "hybrid-seed1"
    write_run(cell / "small", cell / "train" / "model", BAD, measures=("R@1",))
    record = judge(world)
    assert beside(record, 8) == "holds"
    assert "one seed: of these models" in line(record, 8, benchmark="small")["why"]
    assert record["runs"]["notes"] == [
        f"holds no AP, by which small is judged; not compared: {cell / 'small'}"
    ]


def test_an_evaluation_of_the_model_before_is_left_out(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    cell = world / "enc" / "hybrid-seed0"
    write_training(cell / "train")
    record = judge(world)
    assert (
        f"older than the model that lies there now, left out: {cell / 'small'}"
        in record["runs"]["notes"]
    )
    assert lines(record, 8, benchmark="small") == []
    write_run(cell / "small", cell / "train" / "model", GOOD)
    assert beside(judge(world), 8) == "holds"
    for marker in (cell / "train" / "COMPLETE", cell / "small" / "COMPLETE"):
        marker.write_text("some day\n", "utf-8")
        assert beside(judge(world), 8) == "holds"


def test_low_resource_languages_and_pairs(call, tmp_path):
    # Trained once: with two or three seeds, 28 rows are too many to show a difference.
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    _, out, _, record = call(world)
    (part,) = record["low_resource"]["parts"]
    assert part["languages"] == ["yo", "sw"]
    rows = part["rows"]
    # Two baselines; sw and yo in three settings and rank distance; all six pairs, as each has a
    # low-resource language on one side at least.
    assert len(rows) == 2 * (2 * 4 + 6)
    assert {(r["query_lang"], r["passage_lang"]) for r in rows if r["passage_lang"]} == {
        (a, b) for a in LANGS for b in LANGS if a != b
    }
    assert {row["baseline"] for row in rows} == {"monolingual", "cross-lingual"}
    assert all(row["p_holm"] >= row["p"] for row in rows)
    assert "### enc, small: yo sw" in out
    # All find the passage of their own language: nothing is left to be better at.
    assert "hybrid against monolingual batches: monolingual: better in 0" in out
    assert "multilingual: better in 2, worse in 0, not shown in 0 of 2" in out
    assert "In sum, of 28 comparisons in low-resource languages and pairs, hybrid" in out
    record = call(world, "--low-resource", "eng")[3]
    assert record["low_resource"]["parts"][0]["languages"] == ["en"]


def test_one_query_language_is_named(judge, tmp_path):
    whole = parallel_collection()
    asked = [query for query in whole.queries if query.lang == "sw"]
    kept = [qrel for qrel in whole.qrels if qrel.query_lang == "sw"]
    part = type(whole)("small", asked, whole.passages, kept, sources=whole.sources)
    record = judge(write_world(tmp_path / "world", BETTER, seeds=(0,), collection=part))
    rows = record["low_resource"]["parts"][0]["rows"]
    assert {row["query_lang"] for row in rows} == {"sw"}
    settings = [row["setting"] for row in rows if row["passage_lang"] is None]
    assert settings.count("monolingual") == 2
    # The three settings of its one language.
    assert lines(record, 11)[0]["figures"]["references"]["untrained"]["better"] == 3


def test_questions_over_passages_in_one_language(judge, tmp_path):
    whole = parallel_collection()
    part = type(whole)(
        "small",
        [query for query in whole.queries if query.lang != "en"],
        [passage for passage in whole.passages if passage.lang == "en"],
        [q for q in whole.qrels if q.query_lang != "en" and q.doc_id.startswith("en")],
        sources=whole.sources,
    )
    record = judge(write_world(tmp_path / "world", BETTER, seeds=(0,), collection=part))
    # No pool of several languages: neither the best in it nor a rank distance.
    assert verdict(record, 8) == verdict(record, 10) == "not testable here"
    assert line(record, 8, benchmark="small")["why"] == "no pool of several languages"
    assert "no query with relevant passages in several" in bias(record)["why"]
    rows = record["low_resource"]["parts"][0]["rows"]
    assert [(row["query_lang"], row["setting"], row["baseline"]) for row in rows] == [
        (lang, "cross-lingual", baseline)
        for baseline in ("monolingual", "cross-lingual")
        for lang in ("sw", "yo")
    ]


def test_the_folder(call, refused, better, tmp_path):
    code, out, err, record = call(better)
    folder = tmp_path / "claims"
    assert (code, err) == (0, "") and out.endswith(f"results: {folder}\n")
    assert is_complete(folder)
    assert {path.name for path in folder.iterdir()} == {
        *("claims.json", "claims.md", "provenance.json", "COMPLETE"),
    }
    keys = "isoglot_version paper alpha resamples seed statements as_published in_runs low_resource"
    assert list(record) == [*keys.split(), "runs"]
    assert [entry["number"] for entry in record["statements"]] == list(range(1, 12))
    page = (folder / "claims.md").read_text("utf-8")
    assert page.startswith("# Eleven statements of arXiv 2408.10536\n")
    provenance = read_json(folder / "provenance.json")
    assert provenance["seeds"] == {"resampling": 0}
    # 9 trainings, 10 evaluations.
    assert len(provenance["data_sha256"]) == 19
    assert run([str(better), "-o", str(folder)], command=COMMAND) == 2


def test_all_pairs_are_in_the_folder(call, tmp_path):
    world = write_world(tmp_path / "world", ALIKE, seeds=(0,))
    out = call(world)[1]
    assert "12 rows of pairs in which no difference is shown are in the folder of -o" in out
    page = (tmp_path / "claims" / "claims.md").read_text("utf-8")
    assert "passage language" in page and "passage language" not in out


def test_what_is_not_complete_is_told(judge, tmp_path):
    world = write_world(tmp_path / "world", BETTER)
    cell = world / "enc" / "cross-lingual-seed1" / "small"
    (cell / "COMPLETE").unlink()
    for file in cell.glob("*.parquet"):  # what comes after the config has not been reached
        file.unlink()
    record = judge(world)
    assert f"not complete, left out: {cell}" in record["runs"]["notes"]
    assert beside(record, 8) == "holds"


def test_an_alignment_is_left_out(judge, better, tmp_path):
    write_training(tmp_path / "align")
    config = tmp_path / "align" / "config.yaml"
    write_yaml(config, {**read_yaml(config), "token_dropout": 0.3})
    record = judge(better, tmp_path / "align")
    assert f"an alignment, left out: {tmp_path / 'align'}" in record["runs"]["notes"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, ": no such folder; give folders of runs"),
        (lambda folder: folder.write_text("", "utf-8"), ": a file; give folders of runs"),
        (lambda folder: folder.mkdir(), "no complete run found; give folders of isoglot"),
    ],
)
def test_paths_without_runs(refused, tmp_path, make, message):
    make(tmp_path / "runs")
    assert message in refused(tmp_path / "runs")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("enc/hybrid-seed0/train/census.json", "{}", "does not say what was drawn; train again"),
        ("enc/hybrid-seed0/train/config.yaml", "a: 1", "config.yaml: missing key 'data'"),
        ("enc/hybrid-seed0/small/metrics.json", "{}", "does not hold benchmark, measures"),
        ("enc/hybrid-seed0/small/settings.parquet", "x", "cannot be read as Parquet"),
        ("enc/hybrid-seed0/small/config.yaml", "model: {a: 1}", "config.yaml: missing key 'name'"),
        ("enc/hybrid-seed0/small/provenance.json", "x", "cannot be read as JSON"),
        ("audit.json", "[]", "is no audit; run isoglot audit again"),
        ("audit.json", '{"benchmarks": [{}]}', "is no audit; run isoglot audit again"),
    ],
)
def test_damaged_files(refused, better, tmp_path, file, content, message):
    world = shutil.copytree(better, tmp_path / "world")
    (world / file).write_text(content, "utf-8")
    assert message in refused(world)


def test_settings_without_a_column(refused, better, tmp_path):
    world = shutil.copytree(better, tmp_path / "world")
    file = world / "enc" / "hybrid-seed0" / "small" / "settings.parquet"
    pq.write_table(pa.table({"setting": ["monolingual"]}), file)
    assert "settings.parquet: has no column 'measure'; evaluate again" in refused(world)


def test_ranks_without_a_column(refused, tmp_path):
    run = write_run(tmp_path / "run", "any", GOOD, collection=parallel_collection("mlqa-r"))
    pq.write_table(pa.table({"rank": [1]}), run / "ranks.parquet")
    assert "ranks.parquet: has no column 'query_lang'; evaluate again" in refused(run)


def test_runs_on_different_data(refused, tmp_path):
    world = write_world(tmp_path / "world", BETTER, seeds=(0,))
    other = parallel_collection(sources={"small.jsonl": "0ther"})
    write_run(tmp_path / "other", "bm25", BAD, collection=other)
    message = refused(world, tmp_path / "other")
    assert "were measured on different files of small; give the runs of one of them" in message
    cell = world / "enc" / "hybrid-seed0" / "train"
    write_json(cell / "data.json", {"train": "0ther"})
    assert "have one config and were trained on different data; give" in refused(world)


def test_runs_given_twice(refused, better, judge, tmp_path):
    assert beside(judge(better, better / "enc"), 8) == "holds"  # the same folders are one run
    copy = shutil.copytree(better, tmp_path / "copy")
    assert "are of one model on small; give one of them" in refused(better, copy)
    cell = copy / "enc" / "hybrid-seed0"
    shutil.copytree(cell / "small", cell / "again")
    assert "are of one model on small; give one of them" in refused(copy)


def test_too_few_resamples(better, capsys):
    assert run([str(better), "--resamples", "100"], command=COMMAND) == 2
    assert "100 resamples are too few for intervals at alpha 0.05" in capsys.readouterr().err


def test_other_results_are_not_overwritten(better, capsys):
    target = better / "enc" / "untrained" / "small"
    assert run([str(better), "-o", str(target), "--overwrite"], command=COMMAND) == 2
    assert "holds other results, which would be mixed up; choose another" in capsys.readouterr().err


def test_an_unknown_language(refused, better):
    assert "unknown language 'xx-yy'" in refused(better, "--low-resource", "sw,xx-yy")
