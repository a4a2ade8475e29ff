"""Results in a model card: what is written, what is left alone, what is refused."""

from __future__ import annotations

import json
import re

import pytest
from huggingface_hub import ModelCard

from isoglot.artifacts import mark_complete, write_json
from isoglot.errors import ArtifactError
from isoglot.integrations.card import write_card

LANGS = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
METRICS = {
    "benchmark": "xquad-r",
    "model": "/home/me/runs/mine",
    "isoglot_version": "1.2.3",
    "summary": {
        "monolingual": {"AP": 0.8167123, "nDCG@10": 0.8531},
        "cross-lingual": {"AP": 0.7672, "nDCG@10": 0.8},
        "multilingual": {"AP": 0.6817, "nDCG@10": 0.7},
    },
    "bias": {"rank_distance": 221.123, "rank_distance_floor": 10.0},
    "queries": 13090,
    "passages": 13014,
    "query_langs": LANGS,
    "passage_langs": LANGS,
    "options": {"candidates": "sentence"},
}

MLQA_LANGS = ["ar", "de", "en", "es", "hi", "vi", "zh"]
MLQA = {"benchmark": "mlqa-r", "query_langs": MLQA_LANGS, "passage_langs": MLQA_LANGS}

OWN_CARD = """---
# Norwegian is a language, not a negation.
language: [no, en]
license: mit   # as agreed
model-index:
- name: somebody
  results:
  - task: {type: sts}
    dataset: {type: stsb, config: no, name: STS}
    metrics:
    - {type: pearson, value: 0.80}
# about the data
datasets:
- some/data
---

# My model

Words of my own.
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "modules.json").write_text("[]", "utf-8")
    return folder


@pytest.fixture
def results(tmp_path):
    """Write the folder of an evaluation, with changes to its metrics."""

    def write(name="out", **changes):
        folder = tmp_path / name
        write_json(folder / "metrics.json", {**METRICS, **changes})
        mark_complete(folder)
        return folder

    return write


def card_of(model):
    return (model / "README.md").read_bytes().decode("utf-8")


def index_of(model):
    """Return {(benchmark, setting): {metric: value}} as the hub's library reads it."""
    found = {}
    for result in ModelCard.load(model / "README.md").data.eval_results:
        metrics = found.setdefault((result.dataset_type, result.dataset_config), {})
        metrics[result.metric_type] = result.metric_value
    return found


def test_a_model_without_a_card_gets_one(results, model):
    assert write_card(results(), model) == model / "README.md"
    assert index_of(model) == {
        ("xquad-r", "monolingual"): {"map": 0.81671, "ndcg_at_10": 0.8531},
        ("xquad-r", "cross-lingual"): {"map": 0.7672, "ndcg_at_10": 0.8},
        ("xquad-r", "multilingual"): {"map": 0.6817, "ndcg_at_10": 0.7, "rank_distance": 221.12},
    }
    data = ModelCard.load(model / "README.md").data
    assert (data.model_name, data.library_name) == ("my-model", "sentence-transformers")
    text = re.sub(" +", " ", card_of(model))
    assert "\n# my-model\n" in text
    assert "## Retrieval across languages: xquad-r" in text
    assert "| multilingual | 0.6817 | 0.7000 |" in text
    assert "Rank distance: 221.1 (lower is less biased; 10.0 at best)." in text
    langs = ", ".join(LANGS)
    assert f"13,090 queries ({langs}), 13,014 passages ({langs})." in text
    assert "isoglot 1.2.3 (candidates: sentence)." in text


def test_no_path_of_the_machine_gets_into_the_card(results, model):
    write_card(results(), model)
    assert "/home/me" not in card_of(model)


def test_twice_in_a_row_gives_the_same_bytes(results, model):
    for card in (None, OWN_CARD, "# No front matter"):
        if card is not None:
            (model / "README.md").write_text(card, "utf-8")
        write_card(results(), model)
        once = card_of(model)
        write_card(results(), model)
        assert card_of(model) == once


def test_nothing_else_of_a_card_is_touched(results, model):
    (model / "README.md").write_text(OWN_CARD, "utf-8")
    write_card(results(), model)
    text = card_of(model)
    before, _, after = OWN_CARD.partition("model-index:")
    assert text.startswith(before)
    assert text.partition("# about")[2].startswith(after.partition("# about")[2])
    # Others' results keep their spelling, too: parsed and dumped, "no" would become "false".
    assert "config: no," in text and "value: 0.80" in text
    assert text.index("somebody") < text.index("0.80") < text.index("xquad-r (monolingual)")


def test_another_benchmark_is_added_and_the_same_is_replaced_in_its_place(results, model):
    (model / "README.md").write_text(OWN_CARD, "utf-8")
    write_card(results(), model)
    write_card(results("mlqa", **MLQA), model)
    write_card(results("new", summary={"multilingual": {"AP": 0.9}}, bias={}), model)
    index = index_of(model)
    assert list(index) == [
        ("stsb", False),  # how the library reads "no"
        ("xquad-r", "multilingual"),
        *(("mlqa-r", setting) for setting in METRICS["summary"]),
    ]
    assert index["xquad-r", "multilingual"] == {"map": 0.9}
    text = card_of(model)
    assert text.count("across languages: xquad-r") == text.count("across languages: mlqa-r") == 1
    assert text.index("languages: xquad-r") < text.index("languages: mlqa-r")
    assert "Rank distance" not in text.partition("languages: mlqa-r")[0].partition("# My")[2]


def test_some_languages_of_a_benchmark_stand_beside_all_of_them(results, model):
    write_card(results(), model)
    some = {"query_langs": ["en", "de"], "passage_langs": ["de", "en"]}
    write_card(results("some", **some, summary={"multilingual": {"AP": 0.9}}), model)
    index = index_of(model)
    assert index["xquad-r", "multilingual"]["map"] == 0.6817
    assert index["xquad-r:de,en", "multilingual"]["map"] == 0.9
    text = card_of(model)
    assert "## Retrieval across languages: xquad-r\n" in text
    assert "## Retrieval across languages: xquad-r:de,en\n" in text
    write_card(results("again", **some, summary={"multilingual": {"AP": 0.8}}), model)
    assert index_of(model)["xquad-r:de,en", "multilingual"]["map"] == 0.8
    assert len(index_of(model)) == 4
    assert card_of(model).count("across languages: xquad-r") == 2


def test_a_folders_languages_are_named_for_all_of_them_are_not_known(results, model):
    write_card(results(benchmark="ours", query_langs=["sw"], passage_langs=["en"]), model)
    assert ("ours:en,sw", "multilingual") in index_of(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "bm25"}, "is of bm25, not of a model; give an evaluation of the model"),
        ({"depth": 1000}, "on runs of 1,000 passages per query, which lowers figures; evaluate"),
    ],
)
def test_results_that_are_not_the_models_are_refused(results, model, changes, message):
    with pytest.raises(ArtifactError, match=rf"metrics\.json: .*{message}"):
        write_card(results(**changes), model)
    assert not (model / "README.md").exists()


def test_text_after_the_section_stays_after_it(results, model):
    write_card(results(), model)
    path = model / "README.md"
    path.write_text(card_of(model) + "\n## Thanks\n", "utf-8")
    write_card(results("new", queries=7), model)
    assert "7 queries" in card_of(model)
    assert card_of(model).endswith(":end -->\n\n## Thanks\n")


def test_line_ends_of_windows_stay(results, model):
    (model / "README.md").write_bytes(OWN_CARD.replace("\n", "\r\n").encode("utf-8"))
    write_card(results(), model)
    text = card_of(model)
    assert text.count("\n") == text.count("\r\n")
    assert ("xquad-r", "multilingual") in index_of(model)


@pytest.mark.parametrize("block", ["", "# nothing yet\n", "license: mit\n"])
@pytest.mark.parametrize("index", ["", "model-index: []\n", "model-index:\n"])
def test_front_matter_without_results_gets_them(results, model, block, index):
    (model / "README.md").write_text(f"---\n{block}{index}---\n# Mine\n", "utf-8")
    write_card(results(), model)
    assert card_of(model).startswith(f"---\n{block}model-index:\n- name: my-model\n")
    assert ("xquad-r", "multilingual") in index_of(model)


def test_the_card_of_a_training_run_is_its_models(results, tmp_path):
    inner = tmp_path / "run" / "model"
    inner.mkdir(parents=True)
    (inner / "modules.json").write_text("[]", "utf-8")
    assert write_card(results(), tmp_path / "run") == inner / "README.md"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("---\nlicense: [mit\n---\n# M\n", r"README.md:3: the front matter is not valid YAML \("),
        ("---\nlicense: mit\n# M\n", "README.md:1: the front matter has no closing line '---'"),
        ("---\n- mit\n---\n", "README.md:2: the front matter must have one key per line"),
        ("---\n{license: mit}\n---\n", "README.md:2: the front matter must have one key per line"),
        ("---\nmodel-index: mine\n---\n", "must be a list of models with results; mend or remove"),
        ("---\nmodel-index: [{name: a}]\n---\n", "must be a list of models with results"),
        ("---\nmodel-index:\n- results:\n  - task: 1\n---\n", "must be a list of models with"),
        ("# M\n<!-- isoglot:xquad-r:begin -->\n", "after it one line '<!-- isoglot:xquad-r:end"),
        ("<!-- isoglot:xquad-r:end -->\n<!-- isoglot:xquad-r:begin -->\n", "remove both or mend"),
    ],
)
def test_damaged_cards_are_refused_and_left_as_they_are(results, model, card, message):
    (model / "README.md").write_text(card, "utf-8")
    with pytest.raises(ArtifactError, match=message):
        write_card(results(), model)
    assert card_of(model) == card


def test_a_card_that_is_no_text_is_refused(results, model):
    (model / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match=r"README\.md: cannot be read as UTF-8 text"):
        write_card(results(), model)


def test_folders_that_are_not_what_they_should_be_are_refused(results, model, tmp_path):
    with pytest.raises(ArtifactError, match="my-model: no complete evaluation; give the --output"):
        write_card(model, model)
    out = results()
    with pytest.raises(ArtifactError, match=r"out: holds no model \(no modules\.json, no config"):
        write_card(out, out)
    (out / "metrics.json").write_text(json.dumps({"benchmark": "x"}), "utf-8")
    with pytest.raises(ArtifactError, match=r"metrics\.json: is not of an evaluation \(no 'isogl"):
        write_card(out, model)
