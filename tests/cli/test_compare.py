"""``isoglot compare``: on tiny files made here, and on evaluations of the embedded model."""

import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from isoglot.artifacts import is_complete
from isoglot.cli.app import run
from isoglot.cli.compare import compare
from isoglot.pipeline.comparison import ComparisonOptions, System, run_comparison

COMMAND = typer.Typer(rich_markup_mode=None)
COMMAND.command()(compare)

LANGS = ("de", "en", "sw")
QUESTIONS = [f"q{number}" for number in range(8)]


@pytest.fixture
def call(capsys):
    """Run ``isoglot compare``; return exit code, stdout and stderr."""

    def run_line(*arguments):
        code = run([str(argument) for argument in arguments], command=COMMAND)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


@pytest.fixture
def refused(call):
    """Run a line that must fail with one line on stderr; return the line."""

    def run_line(*arguments):
        code, out, err = call(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.strip()

    return run_line


def squeezed(text):
    """The text with columns one blank apart."""
    return re.sub(" +", " ", text)


def pools(langs=LANGS):
    """(setting, query language, passage language) of every pool."""
    for query_lang in langs:
        for passage_lang in langs:
            yield (
                "monolingual" if passage_lang == query_lang else "cross-lingual",
                *(query_lang, passage_lang),
            )
        yield "multilingual", query_lang, "*"


def rows(value, langs=LANGS, questions=QUESTIONS):
    """One row of AP per query and pool; ``value`` takes question number, setting and languages."""
    return [
        {
            "query_id": query_id,
            "query_lang": pool[1],
            "setting": pool[0],
            "passage_lang": pool[2],
            "measure": "AP",
            "value": value(number, *pool),
        }
        for number, query_id in enumerate(questions)
        for pool in pools(langs)
    ]


def baseline(number, *_):
    return 0.1 + number / 20


def better(number, setting, query_lang, _):
    """Monolingual alike, cross-lingual better by 0.1, multilingual worse by 0.1 in Swahili only."""
    change = {"monolingual": 0, "cross-lingual": 0.1}.get(setting, -0.1 * (query_lang == "sw"))
    return baseline(number) + change


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(content), path)
    return path


def write_evaluation(folder, content, *, ranks=None, **metrics):
    """A complete evaluation folder, as far as comparisons read it."""
    write(folder / "per_query.parquet", content)
    if ranks is not None:
        write(folder / "ranks.parquet", ranks)
    values = {"benchmark": "tiny", "passages": 24, "options": {}, "depth": None, **metrics}
    (folder / "metrics.json").write_text(json.dumps(values), "utf-8")
    (folder / "provenance.json").write_text("{}", "utf-8")
    (folder / "COMPLETE").write_text("now\n", "utf-8")
    return folder


@pytest.fixture
def files(tmp_path):
    """Two per-query files: a baseline, and a system that differs across languages."""
    return (
        write(tmp_path / "a" / "per_query.parquet", rows(baseline)),
        write(tmp_path / "b" / "per_query.parquet", rows(better)),
    )


def test_two_files_by_hand(call, files):
    code, out, err = call(*files)
    assert (code, err) == (0, "")
    # Eight questions that all change by .1: 2 of 256 sign patterns, p = .0078. Twelve tests (three
    # settings, nine of a language), four of them with this p: cross-lingual and its languages. In
    # the multilingual setting the average and Swahili have it, too. Holm: 12 x .0078 = .094, and
    # none that follows may be smaller.
    assert "b against a\n" in out
    assert "cross-lingual AP 0.2750 0.3750 +0.1000 [0.1000, 0.1000] .008 .094" in squeezed(out)
    assert "no difference shown between b and a in the cross-lingual setting: +0.1000 AP" in out
    assert "p = .094 (Holm); p is not below 0.05" in out


def test_the_family_is_what_is_printed(call, files):
    out = call(*files, "--no-languages")[1]
    # Three tests: 3 x .0078 = .023 for the smallest two, the multilingual average is -0.1 / 3.
    assert (
        "b is better than a in the cross-lingual setting: +0.1000 AP [0.1000, 0.1000], p = .023 "
        "(Holm); holds"
    ) in out
    assert (
        "b is worse than a in the multilingual setting: -0.0333 AP [-0.0333, -0.0333], p = .023 "
        "(Holm); holds"
    ) in out
    assert "no difference shown between b and a in the monolingual setting: +0.0000 AP" in out
    assert "query languages" not in out
    assert f"not known of {files[0]}, {files[1]}: benchmark and passages" in out


def test_settings_baseline_and_languages(call, files):
    options = ("--alpha", "0.1", "--baseline", "b", "--settings", "multilingual,monolingual")
    out = call(*files, *options)[1]
    assert out.startswith("a against b\n")
    assert "cross-lingual" not in out
    assert "a is better than b in the multilingual setting: +0.0333 AP" in out
    assert (
        "multilingual, AP: a is better in 1 of 3 query languages, worse in 0, not shown in 2" in out
    )
    assert call(*files, "--baseline", files[1])[1].startswith("a against b\n")


def test_pools(call, files):
    out = call(*files, "--pools", "--settings", "cross-lingual", "--alpha", "0.2")[1]
    assert "cross-lingual AP de en 0.2750 0.3750" in squeezed(out)
    # 1 setting + 3 languages + 6 pairs; in the other settings a language has one pool only.
    assert "tests: 10;" in out
    assert "tests: 18;" in call(*files, "--pools")[1]


def test_one_query_language_is_tested_once(call, tmp_path):
    for name, value in (("a", baseline), ("b", better)):
        write(tmp_path / f"{name}.parquet", rows(value, langs=("de",)))
    out = call(tmp_path / "a.parquet", tmp_path / "b.parquet")[1]
    assert out.startswith("b against a\n")
    assert "tests: 2;" in out


def test_seeds_of_a_system(call, tmp_path):
    def seed(name, change):
        content = rows(lambda n, *_: baseline(n) + change)
        return write(tmp_path / name / "per_query.parquet", content)

    changes = {"a": 0, "b": 0.02, "c": 0.3, "d": 0.32}
    runs = {name: seed(name, change) for name, change in changes.items()}
    groups = [f"old={runs['a']},{runs['b']}", f"new={runs['c']},{runs['d']}"]
    line = [argument for group in groups for argument in ("--system", group)]
    out = call(*line, "--no-languages")[1]
    # Means of two: .275 + .01 and .275 + .31; deviations .02 / sqrt 2. Variance over seeds:
    # .0001 + .0001, with 2 degrees of freedom, so that t^2 = 18.513 and the half width .0608.
    figures = "0.2850 ± 0.0141 0.5850 ± 0.0141 +0.3000 [0.3000, 0.3000] [0.2392, 0.3608] .008 .023"
    assert figures in squeezed(out)
    assert "new is better than old in the multilingual setting: +0.3000 AP" in out
    assert "over queries and seeds, p = .023 (Holm); holds" in out
    assert "2 seeds of new: where both systems have several, p and the" in out
    mixed = call(runs["a"], "--system", groups[1], "--no-languages")[1]
    assert mixed.startswith("new against a\n")
    assert "over seeds too" not in mixed


def test_three_systems(call, files, tmp_path):
    third = write(tmp_path / "c" / "per_query.parquet", rows(better))
    out = call(*files, third, "--no-languages")[1]
    assert "b against a\n" in out and "c against a\n" in out and "c against b\n" not in out
    # Six tests now, of which the four with p = .0078 come first.
    assert "p = .047 (Holm); holds" in out
    assert "c against b\n" in call(*files, f"c={third}", "--all-pairs")[1]


def ranks(distance, langs=LANGS):
    """Ranks of three relevant passages per query, one per language, and of one judged negative."""
    found = []
    for number, query_id in enumerate(QUESTIONS):
        for query_lang in langs:
            places = {"de": 1, "en": 2, "sw": 1 + distance(number, query_lang)}
            for lang, rank in places.items():
                query = {"query_id": query_id, "query_lang": query_lang, "doc_id": f"d-{lang}"}
                found.append({**query, "passage_lang": lang, "relevance": 1, "rank": rank})
            found.append({**query, "passage_lang": "sw", "relevance": 0, "rank": None})
    return found


def test_rank_distance(call, tmp_path):
    a = write_evaluation(tmp_path / "a", rows(baseline), ranks=ranks(lambda n, _: 10 + n))
    b = write_evaluation(tmp_path / "b", rows(baseline), ranks=ranks(lambda n, _: 5 + n))
    out = call(a, b, "--no-languages")[1]
    assert "multilingual rank distance 13.5 8.5 -5.0 [-5.0, -5.0] .008 .008" in squeezed(out)
    assert (
        "b is better than a in rank distance (lower is better): -5.0 ranks [-5.0, -5.0], "
        "p = .008 (Holm); holds"
    ) in out
    assert "rank distance" not in call(a, b, "--settings", "monolingual")[1]
    # A family of its own: one average and three languages, the rows of AP do not count.
    assert "rank distance sw 13.5 8.5 -5.0 [-5.0, -5.0] .008 .031" in squeezed(call(a, b)[1])


def test_rank_distance_needs_the_ranks_of_every_run(call, tmp_path):
    a = write_evaluation(tmp_path / "a", rows(baseline), ranks=ranks(lambda n, _: 10 + n))
    unranked = ranks(lambda n, _: 5 + n)
    unranked[0]["rank"] = None
    b = write_evaluation(tmp_path / "b", rows(baseline), ranks=unranked)
    out = call(a, b)[1]
    assert f"rank distance left out: {b} has no ranks of all relevant passages" in out


def test_runs_of_different_depth(call, refused, tmp_path):
    full = write_evaluation(tmp_path / "full", rows(baseline))
    cut = write_evaluation(tmp_path / "cut", rows(better), depth=50)
    deeper = write_evaluation(tmp_path / "deeper", rows(better), depth=1000)
    line = refused(full, cut, "--common")
    assert (
        f"{full} and {cut} were measured to different depths: full and 50; evaluate both from runs "
        "of one depth with --depth, or both in full"
    ) in line
    assert "to different depths: 1,000 and 50; evaluate both" in refused(deeper, cut)
    # The depth of a file alone is not known.
    assert call(full / "per_query.parquet", full.parent / "cut" / "per_query.parquet")[0] == 0


def test_runs_of_one_depth_are_compared_in_the_pool_of_all_languages(call, refused, tmp_path):
    a = write_evaluation(tmp_path / "a", rows(baseline), depth=50)
    b = write_evaluation(tmp_path / "b", rows(better), depth=50)
    out = call(a, b, "--no-languages")[1]
    # 50 passages of all languages are many or few of one language, by what a system prefers.
    assert "from the first 50 passages of all languages only multilingual figures can be" in out
    assert "multilingual AP" in squeezed(out) and "cross-lingual" not in out
    assert out == call(a, b, "--no-languages", "--settings", "multilingual")[1]
    line = refused(a, b, "--settings", "monolingual,multilingual")
    assert "can be compared; use --settings multilingual, or evaluate in full" in line


def test_one_pool_is_tested_once(call, tmp_path):
    # All passages are in English: English queries have one pool, and the pool of all languages of
    # German queries is their cross-lingual one. The average of both is a figure of its own.
    content = [row for row in rows(better) if row["passage_lang"] in ("en", "*")]
    sizes = {"passages": 8, "pool_sizes": {"en": 8}}
    for langs, tests in ((["en"], 1), (["de", "en"], 3)):
        kept = [row for row in content if row["query_lang"] in langs]
        a, b = (
            write_evaluation(tmp_path / name / "-".join(langs), kept, passage_langs=["en"], **sizes)
            for name in ("a", "b")
        )
        out = call(a, b)[1]
        assert f"tests: {tests};" in out
        assert ("multilingual" in out) == (tests == 3)


def test_queries_with_relevant_passages_in_one_language_have_no_rank_distance(call, tmp_path):
    in_german = [row for row in ranks(lambda n, _: 5) if row["passage_lang"] == "de"]
    folders = [
        write_evaluation(tmp_path / name, rows(baseline), ranks=in_german) for name in ("a", "b")
    ]
    code, out, _ = call(*folders)
    assert code == 0
    assert "rank distance" not in out


def test_the_folder_of_a_comparison(call, refused, files, tmp_path):
    folder = tmp_path / "out"
    code, out, err = call(*files, "-o", folder, "--seed", "3")
    assert (code, err) == (0, "")
    assert out.endswith(f"results: {folder}\n")
    assert is_complete(folder)
    record = json.loads((folder / "comparison.json").read_text("utf-8"))
    assert record["systems"][0] == {"label": "a", "runs": [str(files[0])]}
    table = pq.read_table(folder / "differences.parquet")
    assert table.to_pylist() == record["rows"]
    assert (table.num_rows, table.schema.field("seed_interval_low").type) == (12, pa.float64())
    assert (folder / "comparison.md").read_text("utf-8").startswith("# Differences in AP\n")
    provenance = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert provenance["seeds"] == {"resampling": 3}
    assert set(provenance["data_sha256"]) == {str(file) for file in files}
    assert "already holds a complete result" in refused(*files, "-o", folder)
    assert call(*files, "-o", folder, "--overwrite")[0] == 0


def test_other_results_are_not_overwritten(refused, tmp_path):
    folders = [write_evaluation(tmp_path / name, rows(baseline)) for name in ("a", "b")]
    line = refused(*folders, "-o", folders[0], "--overwrite")
    assert f"{folders[0]}: holds other results, which would be mixed up; choose another" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a comparison needs two systems or more, got 0; give evaluation folders"),
        (["{a}"], "a comparison needs two systems or more, got 1"),
        (["{a}", "{a}"], "per_query.parquet: given twice; give every run once"),
        (["{a}", "--system", "s={b},{a}"], "per_query.parquet: given twice"),
        (["s={a}", "s={b}"], "two systems are called 's'; name them, as in other=FOLDER"),
        (["{a}", "--system", "{b}"], "write LABEL=RUN,RUN, the runs without blanks"),
        (["{a}", "--system", "s={b},"], "write LABEL=RUN,RUN"),
        (["{a}", "{b}", "--baseline", "bb"], "unknown baseline 'bb'; the systems are a, b"),
        (["{a}", "/nowhere"], "/nowhere: no such folder or file; give the folder of an evaluation"),
        (["{a}", "{b}", "-m", "XY"], "unknown measure 'XY'"),
        (["{a}", "{b}", "-m", "R@3"], "holds no R@3; evaluate with --measure R@3, .* one of AP"),
        (["{a}", "{b}", "--settings", "bi"], "unknown setting 'bi'"),
        (["{a}", "{b}", "--alpha", "2"], "--alpha"),
        (
            ["{a}", "{b}", "--permutations", "10"],
            "10 permutations cannot show a difference at alpha 0.05 among 12 tests; use 240 or",
        ),
        (["{a}", "{b}", "--resamples", "399"], "399 resamples are too few .*; use 400 or more"),
    ],
)
def test_a_wrong_line(refused, files, arguments, message):
    line = refused(*(text.format(a=files[0], b=files[1]) for text in arguments))
    assert re.search(message, line)


def test_more_permutations_for_more_tests(files):
    systems = [System(name, (file,)) for name, file in zip("ab", files, strict=True)]
    found = run_comparison(systems, ComparisonOptions(permutations=240, resamples=400))
    assert (found.permutations, len(found.rows)) == (240, 12)
    assert run_comparison(systems, ComparisonOptions(resamples=400)).permutations == 10_000
    found = run_comparison(systems, ComparisonOptions(resamples=20_000, alpha=0.001))
    assert found.permutations == 10 * 12 * 1000


def test_different_queries(call, refused, files, tmp_path):
    some = write(tmp_path / "some.parquet", rows(better, questions=[*QUESTIONS[2:], "q9"]))
    line = refused(files[0], some)
    assert (
        f"{files[0]} and {some} were measured on different queries: 6 are only in the first, 3 "
        "only in the second, 18 in both; evaluate alike, or compare what both have with --common"
    ) in line
    out = call(files[0], some, "--common")[1]
    assert "query ids: 6," in out
    assert "on the 18 of 27 queries that every run has\n" in out
    none = write(tmp_path / "none.parquet", rows(better, questions=["x"]))
    assert "0 in both; evaluate on one benchmark" in refused(files[0], none, "--common")


def test_the_same_queries_in_different_pools(call, refused, files, tmp_path):
    content = [row for row in rows(better) if row["passage_lang"] != "en"]
    some = write(tmp_path / "some.parquet", content)
    # Eight questions in the pools de-en, en-en and sw-en.
    assert "on the same queries in different pools: 24 values are in one" in refused(files[0], some)
    assert "cross-lingual" in call(files[0], some, "--common")[1]


def test_settings_that_not_every_run_has(call, refused, files, tmp_path):
    content = [row for row in rows(better) if row["setting"] != "cross-lingual"]
    some = write(tmp_path / "some.parquet", content)
    out = call(files[0], some)[1]
    assert "left out, not in every run: the cross-lingual setting\n" in out
    line = refused(files[0], some, "--settings", "cross-lingual")
    assert f"{some} has no cross-lingual values; it has monolingual, multilingual" in line
    other = write(tmp_path / "o.parquet", [r for r in rows(better) if "cross" in r["setting"]])
    assert "the runs have no setting in common" in refused(some, other)


def test_different_benchmarks_and_pools(call, refused, tmp_path):
    a = write_evaluation(tmp_path / "a", rows(baseline))
    b = write_evaluation(tmp_path / "b", rows(baseline), benchmark="other")
    line = refused(a, b, "--common")
    assert f"{a} was measured on tiny and {b} on other; compare evaluations on one" in line
    c = write_evaluation(tmp_path / "c", rows(baseline), passages=30, pool_sizes={"de": 8})
    line = refused(a, c)
    assert f"the pool '*' does not hold the same passages in every run: 24 in {a}, 30 in" in line
    out = call(a, c, "--common")[1]
    assert "left out: the pool '*' does not hold the same passages" in out
    assert "in the multilingual setting" not in out
    line = refused(a, c, "--common", "--settings", "multilingual")
    assert "no other is left to compare" in line
    d = write_evaluation(tmp_path / "d", rows(baseline), options={"candidates": "sentence"})
    assert "in different ways (options): default in" in call(a, d)[1]


def test_an_incomplete_evaluation(refused, tmp_path, files):
    folder = write_evaluation(tmp_path / "a", rows(baseline))
    (folder / "COMPLETE").unlink()
    assert f"{folder}: the evaluation is not complete, COMPLETE is missing" in refused(folder, "x")
    assert "holds no per_query.parquet; give the folder of an evaluation" in refused(tmp_path, "x")
    broken = write_evaluation(tmp_path / "broken", rows(baseline))
    (broken / "metrics.json").write_text("[]", "utf-8")
    assert "metrics.json: does not name a benchmark; evaluate again" in refused(files[1], broken)


def changed(**columns):
    return [{**row, **columns} for row in rows(baseline)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"query_id": "q", "value": 1.0}], "has no column 'measure'; it needs measure, setting"),
        ([*rows(baseline), {**rows(baseline)[0], "value": None}], "column 'value' has empty cells"),
        (changed(value="x"), "column 'value' holds string, expected double"),
        (changed(value=float("nan")), "holds values of AP that are no numbers; evaluate again"),
        (changed(setting="bilingual"), "unknown setting 'bilingual'; use monolingual"),
        (rows(baseline) + rows(better)[:1], "has two values for measure AP, setting monolingual"),
        (changed(measure="R@1"), "holds no AP; evaluate with --measure AP, or compare by .* R@1"),
    ],
)
def test_files_that_are_not_as_they_should_be(refused, files, tmp_path, content, message):
    other = write(tmp_path / "other.parquet", content)
    line = refused(files[0], other)
    assert re.search(f"other.parquet: {message}", line)


def test_damaged_files(refused, files, tmp_path):
    files[1].write_bytes(files[1].read_bytes()[:200])
    assert f"{files[1]}: cannot be read as Parquet" in refused(*files)
    a = write_evaluation(tmp_path / "x", rows(baseline), ranks=ranks(lambda n, _: 1))
    (a / "ranks.parquet").write_bytes(b"no table")
    assert "ranks.parquet: cannot be read as Parquet" in refused(files[0], a)


def test_names_tell_runs_apart(call, tmp_path):
    for name in ("labse/h/tiny", "xlmr/h/tiny", "xlmr/m/tiny"):
        write_evaluation(tmp_path / name, rows(baseline))
    first, second, third = sorted(tmp_path.glob("*/*/tiny"))
    assert call(first, second)[1].startswith("xlmr against labse\n")
    assert call(second, third)[1].startswith("m against h\n")
    assert "xlmr/h against labse/h\n" in call(first, second, third)[1]


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """The embedded model on three languages, the same with a prompt, and on two languages only."""
    folder = tmp_path_factory.mktemp("mini")
    lines = {"plain": [], "prompt": ["--query-prompt", "which_"], "two": []}
    for name, options in lines.items():
        benchmark = "mini:de,en" if name == "two" else "mini:de,en,sw"
        line = ["evaluate", "-m", "mini", "-b", benchmark, "-o", str(folder / name), *options]
        assert run(line) == 0
    return folder


def test_evaluations_of_the_embedded_model(call, evaluations, tmp_path):
    folders = [evaluations / "plain", evaluations / "prompt"]
    code, out, err = call(*folders, "-o", tmp_path / "out", "--resamples", "500")
    assert (code, err) == (0, "")
    assert "prompt is worse than plain in the multilingual setting" in out
    rows_of = {
        (row["measure"], row["setting"]): row
        for row in pq.read_table(tmp_path / "out" / "differences.parquet").to_pylist()
        if row["query_lang"] is None
    }
    for folder, side in zip(folders, ("baseline_value", "system_value"), strict=True):
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
        for setting, values in metrics["summary"].items():
            assert rows_of["AP", setting][side] == pytest.approx(values["AP"])
        distance = rows_of["rank distance", "multilingual"][side]
        assert distance == pytest.approx(metrics["bias"]["rank_distance"])


def test_an_evaluation_on_fewer_languages_is_refused(call, refused, evaluations):
    folders = [evaluations / "plain", evaluations / "two"]
    assert "48 are only in the first, 0 only in the second, 96 in both" in refused(*folders)
    out = call(*folders, "--common")[1]
    assert "left out: the pool '*' does not hold the same passages in every run: 144 in" in out
    # The same model in the same pools.
    assert "monolingual AP de 0.3" in squeezed(out)
    assert "better in 0 of 2 query languages, worse in 0, not shown in 2" in out


def test_per_query_files_alone(call, evaluations, tmp_path):
    for name in ("plain", "prompt"):
        shutil.copy(evaluations / name / "per_query.parquet", tmp_path / f"{name}.parquet")
    out = call(tmp_path / "plain.parquet", tmp_path / "prompt.parquet", "--no-languages")[1]
    assert out.startswith("prompt against plain\n")
    assert "rank distance" not in out
