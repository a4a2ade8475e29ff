"""An experiment's regimes, shares and variants: what they stand for, and what is refused."""

import pytest

from isoglot.batches.plan import BatchPlan
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import parse_config
from isoglot.data.mini import load_mini_groups
from isoglot.data.parallel import build_table
from isoglot.errors import ConfigError
from isoglot.languages import LOW_RESOURCE

GRID = {
    "encoders": [{"label": "m", "name": "some/model"}],
    "benchmarks": [{"benchmark": "xquad-r"}],
    "data": [{"path": "groups.jsonl"}],
    "loss": {"temperature": 0.1, "query_agreement": {"weight": 2.0}},
}
LSAR = {"method": "lsar", "data": [{"path": "groups.jsonl"}]}


def parse(**changes):
    return parse_config(ExperimentConfig, {**GRID, **changes})


def trained(config, method, seed=3):
    return config.train_config(config.encoders[0], method, seed)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.query_agreement.weight": 0.5, "batches.monolingual_share": 0.3},
        {"loss": {"query_agreement": {"weight": 0.5}}, "batches": {"monolingual_share": 0.3}},
        {"loss.query_agreement": {"weight": 0.5}, "batches": {"monolingual_share": 0.3}},
    ],
)
def test_a_variant_is_the_experiments_training_with_some_keys_set(changes):
    cell = trained(parse(variants=[{"label": "x", "set": changes}]), "x")
    assert (cell.loss.query_agreement.weight, cell.batches.monolingual_share) == (0.5, 0.3)
    assert (cell.loss.temperature, cell.batches.regime, cell.training.seed) == (0.1, "hybrid", 3)


def test_a_variant_may_take_a_section_out_and_bring_data_of_its_own():
    data = [{"path": "qa.json", "format": "squad", "language": "ja"}, {"path": "bitext.tsv"}]
    changes = {"loss.query_agreement": None, "data": data, "batches.monolingual_from": ["qa"]}
    config = parse(variants=[{"label": "native", "regime": "monolingual", "set": changes}])
    cell = trained(config, "native")
    assert cell.loss.query_agreement is None
    assert [source.label for source in cell.data] == ["qa", "bitext"]
    assert cell.batches.regime == "monolingual"


def test_weights_of_data_sets_are_replaced_and_go_with_them():
    data = [{"path": "a.jsonl"}, {"path": "b.jsonl"}]
    batches = {"dataset_weights": {"a": 2.0, "b": 3.0}, "monolingual_from": ["a"]}
    batches["cross_lingual_from"] = ["a", "b"]

    def of(**changes):
        config = parse(data=data, batches=batches, variants=[{"label": "x", "set": changes}])
        found = trained(config, "x").batches
        return found.dataset_weights, found.monolingual_from, found.cross_lingual_from

    assert of() == ({"a": 2.0, "b": 3.0}, ("a",), ("a", "b"))
    weights = {"batches.dataset_weights": {"b": 0.5}}
    assert of(**weights) == ({"b": 0.5}, ("a",), ("a", "b"))
    other = {"data": [{"path": "b.jsonl"}, {"path": "c.jsonl"}]}
    assert of(**other) == ({"b": 3.0}, None, ("b",))
    assert of(**other, **{"batches.dataset_weights": {"c": 4.0}})[0] == {"c": 4.0}
    with pytest.raises(ConfigError, match=r"variant 'x': .*monolingual_from.*'a'"):
        of(**other, **{"batches.monolingual_from": ["a"]})
    with pytest.raises(ConfigError, match=r"variant 'x': missing key 'data.0.path'"):
        of(data=[{"pth": "b.jsonl"}])


def test_low_resource_languages_are_those_of_the_claims():
    assert parse().low_resource == LOW_RESOURCE


def test_a_variant_without_changes_is_the_hybrid_regime():
    config = parse(variants=[{"label": "again"}])
    assert trained(config, "again") == trained(config, "hybrid")


def test_shares_that_are_regimes_are_not_trained_twice():
    config = parse(regimes=["hybrid"], shares=[0, 0.1, 0.5, 1.0])
    assert config.labels == ("untrained", "hybrid", "cross-lingual", "share-0.1", "monolingual")
    assert trained(config, "share-0.1").batches.monolingual_share == 0.1
    changing = parse(batches={"monolingual_share_end": 1.0}, shares=[0.5])
    assert changing.labels[-1] == "share-0.5"
    assert trained(changing, "share-0.5").batches.share_range == (0.5, 0.5)


@pytest.mark.parametrize(("share", "regime"), [(0.0, "cross-lingual"), (1.0, "monolingual")])
def test_a_share_of_0_or_1_draws_the_batches_of_a_regime(share, regime):
    table = build_table({"mini": load_mini_groups("train")})
    plans = [
        BatchPlan(table, parse().batches.model_copy(update={"size": 8, **change}), 5)
        for change in ({"monolingual_share": share}, {"regime": regime})
    ]
    for index in range(50):
        by_share, by_regime = (plan.batch(index) for plan in plans)
        assert (by_share.kind, by_share.dataset) == (by_regime.kind, by_regime.dataset)
        for name in ("query_texts", "passage_texts", "negative_texts", "parallel_query_texts"):
            assert (getattr(by_share, name) == getattr(by_regime, name)).all()


def test_the_baseline_is_hybrid_if_it_is_there():
    assert parse().tested_against == "hybrid"
    assert parse(regimes=["monolingual"]).tested_against is None
    assert parse(baseline="untrained").tested_against == "untrained"


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (
            {"label": "x", "set": {"loss.query_agrement.weight": 1}},
            r"variant 'x': unknown key 'loss.query_agrement'; did you mean 'query_agreement'\?",
        ),
        (
            {"label": "x", "set": {"los.temperature": 1}},
            r"variant 'x': set: unknown key 'los'; did you mean 'loss'\?; allowed: data, ",
        ),
        (
            {"label": "x", "set": {"loss.temperature": "warm"}},
            r"variant 'x': loss.temperature: input should be a valid number.*got 'warm'",
        ),
        ({"label": "x", "set": {"loss": 3}}, r"variant 'x': loss: input should be a valid dict"),
        ({"label": "x", "set": {"batches": 3}}, r"variant 'x': batches: input should be a valid"),
        (
            {"label": "x", "set": {"batches.regime": "hybrid"}},
            r"variant 'x': set: batches.regime comes from the variant's 'regime'",
        ),
        (
            {"label": "x", "set": {"training": {"seed": 1}}},
            r"variant 'x': set: training.seed comes from the experiment's 'seeds'",
        ),
        ({"label": "hybrid"}, r"variants: label 'hybrid' is used twice"),
        ({"label": "untrained"}, r"variants: label 'untrained' is used twice"),
        ({"label": "a/b"}, r"variants.0.label: string should match pattern"),
        ({"label": "x", "of": "hybrid"}, r"variant 'x': has 'of' and lacks 'correction'"),
        ({"label": "x", "correction": LSAR}, r"variant 'x': has 'correction' and lacks 'of'"),
        (
            {"label": "x", "of": "hybrid", "correction": LSAR, "set": {"loss": {}}},
            r"variant 'x': a correction trains nothing and has no 'set'; give it to the variant",
        ),
        (
            {"label": "x", "of": "hybird", "correction": LSAR},
            r"variant 'x': of: 'hybird' is not trained here; allowed: untrained, monolingual, "
            r"cross-lingual, hybrid; did you mean 'hybrid'\?",
        ),
        (
            {"label": "x", "of": "x", "correction": LSAR},
            r"variant 'x': of: 'x' is a correction itself",
        ),
        (
            {"label": "x", "of": "hybrid", "correction": {**LSAR, "method": "lasr"}},
            r"variants.0.correction.method: input should be 'mean', .*got 'lasr'",
        ),
    ],
)
def test_a_wrong_variant_is_named_with_its_key(variant, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse(variants=[variant])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": [{"label": "x"}, {"label": "x"}]}, r"variants: label 'x' is used twice"),
        (
            {"shares": [0.1], "variants": [{"label": "share-0.1"}]},
            r"variants: label 'share-0.1' is used twice",
        ),
        ({"shares": [0.2, 0.2]}, r"shares: share '0.2' is used twice"),
        ({"shares": [1.2]}, r"shares.0: input should be less than or equal to 1, got 1.2"),
        (
            {"baseline": "hybird"},
            r"baseline: nothing is called 'hybird'; allowed: untrained, monolingual, cross-lingual,"
            r" hybrid; did you mean 'hybrid'\?",
        ),
        ({"regimes": [], "untrained": False}, r"nothing to do; name regimes, shares or variants"),
        (
            {"bm25": True, "encoders": [{"label": "bm25", "name": "m"}]},
            r"encoders: label 'bm25' is used twice",
        ),
        (
            {"benchmarks": [{"benchmark": "some/train"}]},
            r"benchmarks: 'some/train' would be written to a folder 'train', which holds a cell's",
        ),
    ],
)
def test_what_an_experiment_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse(**changes)
