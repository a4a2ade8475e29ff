"""Mining from a config to files that train: what is held out, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import isoglot.pipeline.mining as mining_module
from isoglot.artifacts import is_complete
from isoglot.config.mining import MiningConfig
from isoglot.config.schema import ModelConfig, TrainConfig
from isoglot.data.groups import read_groups, write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.encoding.encode import encode_texts
from isoglot.encoding.sentence_encoder import SentenceEncoder
from isoglot.errors import ArtifactError, ConfigError, DataError, ModelError
from isoglot.pipeline import mining as pipeline
from isoglot.pipeline.mined_groups import with_negatives
from isoglot.pipeline.mining import run_mining
from isoglot.pipeline.sources import load_training_data
from isoglot.pipeline.training import plan_batches
from isoglot.records import Group
from tests.models.checkpoints import LANGS
from tests.training.runs import train_config, write_training_groups


@pytest.fixture
def groups(tmp_path):
    return write_training_groups(tmp_path / "groups.jsonl")


@pytest.fixture
def mine(checkpoints, tmp_path):
    """Mine with a tiny encoder; return the groups of the first file and the record."""

    def run(config, output="mined.jsonl", report=lambda line: None, overwrite=False, **options):
        written = run_mining(
            config,
            ModelConfig(name=str(checkpoints["static"])),
            MiningConfig(**options),
            tmp_path / output,
            overwrite=overwrite,
            report=report,
            show_progress=False,
        )
        path = next(iter(written.files.values()))
        return list(read_groups(path)), json.loads(written.record.read_text("utf-8"))

    return run


def config_of(checkpoints, *paths, **sections):
    config = train_config(checkpoints["static"], paths[0], **sections).model_dump(mode="json")
    return TrainConfig.model_validate(config | {"data": [{"path": str(path)} for path in paths]})


def texts_of(groups, part):
    return {text for group in groups for text in getattr(group, part).values()}


def test_every_query_gets_its_quota_and_the_file_holds_every_group_as_it_was(
    checkpoints, groups, mine
):
    config = config_of(checkpoints, groups)
    found, record = mine(config, same_language=2, cross_language=2, max_share=None)
    before = list(read_groups(groups))
    assert [group._replace(negatives=()) for group in found] == before
    held = {group.group_id for group in load_training_data(config).development}
    assert len(held) == 3
    passages = {text: group.group_id for group in before for text in group.passage.values()}
    for group in found:
        if group.group_id in held:
            assert group.negatives == ()
            continue
        sources = [{passages[text] for text in negative.values()} for negative in group.negatives]
        assert all(len(source) == 1 for source in sources), "an entry has one meaning"
        assert not {group.group_id, *held} & set.union(*sources)
        for lang in LANGS:
            assert sum(lang in negative for negative in group.negatives) >= 2
    counts = record["data_sets"]["groups"]
    assert (counts["groups"], counts["mined_groups"], counts["queries"]) == (12, 9, 27)
    for lang in LANGS:
        assert counts["negatives"][lang] == {other: 18 if other == lang else 9 for other in LANGS}
    nothing = {"queries": 0, "reasons": {}}
    assert counts["short"] == {"same_language": nothing, "cross_language": nothing}


def test_the_same_config_with_the_new_path_holds_out_the_same_groups_and_draws_what_was_mined(
    checkpoints, groups, mine, tmp_path
):
    config = config_of(checkpoints, groups)
    found, _ = mine(config, max_share=None)
    again = config_of(checkpoints, tmp_path / "mined.jsonl", loss={"negatives": "explicit"})
    first, second = load_training_data(config), load_training_data(again)
    assert list(second.table.group_ids) == list(first.table.group_ids)
    assert {g.group_id for g in second.development} == {g.group_id for g in first.development}
    plan = plan_batches(again)
    listed = {g.group_id: [set(n.items()) for n in g.negatives] for g in found}
    kinds = set()
    for index in range(10):
        batch = plan.batch(index)
        kinds.add(batch.kind)
        for row, group in enumerate(batch.groups):
            lang = plan.table.langs[batch.negative_langs[row, 0]]
            pair = lang, plan.table.text(int(batch.negative_texts[row, 0]))
            assert any(pair in entry for entry in listed[plan.table.group_ids[group]])
            query_lang = plan.table.langs[batch.query_langs[row]]
            assert (lang == query_lang) == (batch.kind == "monolingual")
    assert kinds == {"monolingual", "cross-lingual"}


def test_the_negatives_are_those_of_a_plain_search_with_the_encoder(checkpoints, groups, mine):
    config = config_of(checkpoints, groups, development={"groups": 0})
    found, record = mine(config, same_language=1, cross_language=0, max_share=0.9)
    before = list(read_groups(groups))
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")

    def unit(texts, role):
        vectors = encode_texts(model, texts, role)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    compared, left_out = [], 0
    for lang in LANGS:
        queries = unit([group.query[lang] for group in before], "query")
        passages = unit([group.passage[lang] for group in before], "passage")
        scores = queries @ passages.T
        for g, group in enumerate(found):
            below = [p for p in range(12) if p != g and scores[g, p] < 0.9 * scores[g, g]]
            left_out += 11 - len(below)
            best = max(below, key=lambda p: scores[g, p], default=None)
            entries = [n[lang] for n in group.negatives if lang in n]
            assert entries == ([] if best is None else [before[best].passage[lang]])
            if best is not None:
                compared.append((scores[g, g], scores[g, best]))
    assert record["data_sets"]["groups"]["too_near_per_query"] == {
        "same_language": round(left_out / 36, 2),
        "cross_language": 0.0,
    }
    means = record["data_sets"]["groups"]["mean_scores"]
    expected = np.mean(compared, axis=0)
    assert means["same_language"] == pytest.approx(
        {"positive": expected[0], "negative": expected[1]}, abs=1e-4
    )
    assert means["cross_language"] == {"positive": None, "negative": None}


def test_equal_runs_write_equal_bytes_whatever_the_blocks(
    checkpoints, groups, mine, tmp_path, monkeypatch
):
    config = config_of(checkpoints, groups)
    mine(config, "a.jsonl.gz")
    mine(config, "b.jsonl.gz")
    monkeypatch.setattr(pipeline, "_BLOCK_PASSAGES", 4)
    monkeypatch.setattr(pipeline, "_BLOCK_QUERIES", 5)
    monkeypatch.setattr(pipeline, "_TILE_QUERIES", 2)
    monkeypatch.setattr(pipeline, "_TEXTS_PER_CALL", 7)
    mine(config, "c.jsonl.gz")
    a, b, c = (tmp_path / f"{name}.jsonl.gz" for name in "abc")
    assert a.read_bytes() == b.read_bytes()
    assert list(read_groups(a)) == list(read_groups(c))


def test_every_different_text_is_encoded_once_with_the_prompt_of_its_role(
    checkpoints, tmp_path, monkeypatch
):
    repeated = [
        Group(str(i), {"en": f"q {i}", "de": f"q {i}"}, {"en": f"p {i}", "de": "Seite"})
        for i in range(4)
    ]
    repeated += [Group(str(i), {"en": f"q {i}"}, {"en": f"p {i}"}) for i in range(4, 7)]
    path = tmp_path / "groups.jsonl"
    write_groups(path, repeated)
    seen = []
    encode = SentenceEncoder.encode

    def watched(self, texts, role, **options):
        seen.extend((role, text) for text in texts)
        return encode(self, texts, role, **options)

    monkeypatch.setattr(SentenceEncoder, "encode", watched)
    run_mining(
        config_of(checkpoints, path, development={"groups": 0}),
        ModelConfig(name=str(checkpoints["e5"])),
        MiningConfig(max_share=None),
        tmp_path / "mined.jsonl",
        show_progress=False,
    )
    expected = [("query", f"q {i}") for i in range(7)]
    expected += [("passage", text) for text in (*(f"p {i}" for i in range(7)), "Seite")]
    assert sorted(seen) == sorted(expected)


def test_listed_negatives_come_first_and_can_be_dropped(checkpoints, groups, mine, tmp_path):
    listed = {"en": "listed by hand"}
    rows = [group._replace(negatives=(listed,)) for group in read_groups(groups)]
    path = tmp_path / "listed.jsonl"
    write_groups(path, rows)
    config = config_of(checkpoints, path)
    held = {group.group_id for group in load_training_data(config).development}
    kept, _ = mine(config, max_share=None)
    assert all(group.negatives[0] == listed for group in kept)
    assert {len(group.negatives) > 1 for group in kept if group.group_id not in held} == {True}
    dropped, _ = mine(config, "dropped.jsonl", max_share=None, keep_listed=False)
    assert [group.negatives for group in dropped] == [group.negatives[1:] for group in kept]


def test_several_data_sets_get_a_folder_with_a_file_each_and_keep_to_themselves(
    checkpoints, mine, tmp_path
):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, split in zip(paths, ("train", "evaluation"), strict=True):
        write_groups(
            path, [g._replace(group_id=str(i)) for i, g in enumerate(load_mini_groups(split)[:9])]
        )
    config = config_of(checkpoints, *paths)
    _, record = mine(config, "folder", max_share=None)
    folder = tmp_path / "folder"
    assert is_complete(folder)
    assert {path.name for path in folder.iterdir()} == {
        *("a.jsonl.gz", "b.jsonl.gz", "mining.json", "COMPLETE")
    }
    assert set(record["data_sets"]) == {"a", "b"}
    for path in paths:
        own = texts_of(read_groups(path), "passage")
        for group in read_groups(folder / f"{path.name}.gz"):
            assert {text for n in group.negatives for text in n.values()} <= own
    # The labels are those of the files that were read, so the same groups are held out.
    again = load_training_data(config_of(checkpoints, *(folder / f"{p.name}.gz" for p in paths)))
    held = load_training_data(config).development
    assert {g.group_id for g in again.development} == {g.group_id for g in held}


def test_development_groups_of_a_file_and_what_means_the_same_are_left_alone(
    checkpoints, groups, mine, tmp_path
):
    before = list(read_groups(groups))
    answer = {lang: text.upper() for lang, text in before[4].passage.items()}
    write_groups(tmp_path / "dev.jsonl", [Group("d", {"en": "another question"}, answer)])
    config = config_of(
        checkpoints, groups, development={"path": str(tmp_path / "dev.jsonl"), "groups": 0}
    )
    found, _ = mine(config, max_share=None)
    assert [not group.negatives for group in found] == [i == 4 for i in range(12)]
    mined = {text for group in found for n in group.negatives for text in n.values()}
    assert not mined & set(before[4].passage.values())


def test_groups_with_texts_of_a_benchmark_are_left_alone_where_they_are_not_trained_on(
    checkpoints, groups, mine, tmp_path
):
    before = list(read_groups(groups))
    write_groups(tmp_path / "benchmark.jsonl", before[2:3])
    config = config_of(checkpoints, groups, development={"groups": 0})
    values = config.model_dump(mode="json")
    values["audit"] = [{"benchmark": str(tmp_path / "benchmark.jsonl")}]
    values["leave_out_leaks"] = True
    found, _ = mine(TrainConfig.model_validate(values), max_share=None)
    assert [not group.negatives for group in found] == [i == 2 for i in range(12)]


def test_only_the_languages_of_the_config_are_mined(checkpoints, groups, mine):
    config = config_of(checkpoints, groups).model_copy(update={"languages": ("de", "sw")})
    found, record = mine(config, max_share=None)
    assert set(record["data_sets"]["groups"]["negatives"]) == {"de", "sw"}
    assert {lang for group in found for n in group.negatives for lang in n} == {"de", "sw"}
    assert all(set(group.query) == set(LANGS) for group in found)


def test_bitext_becomes_groups(checkpoints, mine, tmp_path):
    lines = [f"word {i} and more\tneno {i} na zaidi" for i in range(8)]
    path = tmp_path / "sentences.tsv"
    path.write_text("\n".join(["en\tsw", *lines]) + "\n", "utf-8")
    values = config_of(checkpoints, path, development={"groups": 0}).model_dump(mode="json")
    values["data"][0]["format"] = "bitext"
    found, _ = mine(TrainConfig.model_validate(values), max_share=None)
    assert all(group.query == group.passage and group.negatives for group in found)


def test_shortages_are_told_with_their_reason_and_languages(checkpoints, groups, mine, tmp_path):
    before = list(read_groups(groups))
    lone = Group("lone", {"tr": "neden"}, {"tr": "bundan"})
    write_groups(tmp_path / "lone.jsonl", [*before, lone])
    config = config_of(checkpoints, tmp_path / "lone.jsonl", development={"groups": 0})
    lines = []
    _, record = mine(config, report=lines.append, max_share=None, skip=10, cross_language=0)
    short = record["data_sets"]["lone"]["short"]["same_language"]
    assert short == {
        "queries": 37,
        "reasons": {"too_few_passages": {"tr": 1}, "skipped": dict.fromkeys(LANGS, 12)},
    }
    assert lines == [
        "lone: 37 of 37 queries got fewer than 2 negatives in their language: 1 too few passages "
        "of other meanings (tr); 36 the others are skipped (de, en, sw)"
    ]
    _, record = mine(config, "b.jsonl", margin=2.0, max_share=None, cross_language=3)
    short = record["data_sets"]["lone"]["short"]
    assert short["cross_language"]["reasons"] == {
        "above_limit": {**dict.fromkeys(LANGS, 12), "tr": 1}
    }


def test_the_record_says_what_made_it(checkpoints, groups, mine):
    _, record = mine(config_of(checkpoints, groups), skip=1)
    assert record["model"]["name"] == str(checkpoints["static"])
    assert len(record["model"]["identity"]) == 64
    assert record["options"]["skip"] == 1
    assert record["config"]["data"][0]["path"] == str(groups)
    assert set(record["seconds"]) == {"encoding", "mining"}
    assert set(record["data_sha256"]) == {"groups"}
    assert record["versions"]["isoglot"]


def test_an_interrupted_run_leaves_no_half_file_no_record_and_no_embeddings(
    checkpoints, groups, mine, tmp_path, monkeypatch
):
    config = config_of(checkpoints, groups)

    def stop(*arguments):
        raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    monkeypatch.setattr(pipeline, "mined_record", stop)
    with pytest.raises(KeyboardInterrupt):
        mine(config, "out/mined.jsonl")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mined.jsonl"}
    monkeypatch.undo()
    monkeypatch.setattr(pipeline, "mine_dataset", stop)
    with pytest.raises(KeyboardInterrupt):
        mine(config, "folder")
    assert not list((tmp_path / "folder").iterdir())
    assert set(tmp_path.iterdir()) == {*before, tmp_path / "out", tmp_path / "folder"}


def test_embeddings_that_a_killed_run_left_are_removed(checkpoints, groups, mine, tmp_path):
    leftover = tmp_path / ".mined.mining.json.x1"
    leftover.mkdir()
    (leftover / "passage").write_bytes(b"0000")
    mine(config_of(checkpoints, groups))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_result_is_replaced_only_on_demand(checkpoints, groups, mine, tmp_path):
    config = config_of(checkpoints, groups)
    mine(config)
    with pytest.raises(ArtifactError, match=r"mined\.jsonl: is there already; choose another"):
        mine(config)
    _, record = mine(config, overwrite=True, skip=1)
    assert record["options"]["skip"] == 1
    mine(config, "folder")
    with pytest.raises(ArtifactError, match="already holds a complete result"):
        mine(config, "folder")
    mine(config, "folder", overwrite=True)


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("x.json", ConfigError, r"x\.json: a file of groups is named \.jsonl or \.jsonl\.gz"),
        ("x.gz", ConfigError, r"a folder's, and does not end in \.gz"),
        ("groups.jsonl", ConfigError, r"the file that data set 'groups' is read from, and would"),
        ("groups.jsonl/x.jsonl", ArtifactError, r"groups\.jsonl: cannot be written to \(File"),
        ("groups.jsonl/x", ArtifactError, r"groups\.jsonl/x: cannot be used as an output folder"),
    ],
)
def test_outputs_that_cannot_be(checkpoints, groups, mine, output, error, message):
    with pytest.raises(error, match=message):
        mine(config_of(checkpoints, groups), output, overwrite=True)
    assert len(list(read_groups(groups))) == 12


def test_one_file_for_two_data_sets_is_refused(checkpoints, groups, mine, tmp_path):
    write_groups(tmp_path / "b.jsonl", read_groups(groups))
    config = config_of(checkpoints, groups, tmp_path / "b.jsonl")
    with pytest.raises(ConfigError, match=r"there are 2 data sets \(groups, b\); name a folder"):
        mine(config)


def test_two_data_sets_that_would_share_a_file_are_refused(checkpoints, groups, mine):
    config = config_of(checkpoints, groups)
    values = config.model_dump(mode="json")
    values["data"] = [{**values["data"][0], "name": name} for name in ("a b", "a/b")]
    with pytest.raises(ConfigError, match="two of the data sets a b, a/b would have one file name"):
        mine(TrainConfig.model_validate(values), "folder")


def test_a_data_set_of_which_nothing_is_trained_on_is_refused(checkpoints, groups, mine, tmp_path):
    write_groups(tmp_path / "other.jsonl", [Group("1", {"tr": "neden"}, {"tr": "bundan"})])
    config = config_of(checkpoints, groups, tmp_path / "other.jsonl")
    config = config.model_copy(update={"languages": ("de", "en")})
    with pytest.raises(DataError, match=r"data set 'other': .* have 0 different meanings"):
        mine(config, "folder")


def test_a_data_set_of_one_meaning_is_refused_before_anything_is_written(
    checkpoints, mine, tmp_path
):
    path = tmp_path / "one.jsonl"
    write_groups(path, [Group(str(i), {"en": "the same"}, {"en": f"p {i}"}) for i in range(4)])
    with pytest.raises(DataError, match="data set 'one': the groups that are trained on have 1 "):
        mine(config_of(checkpoints, path, development={"groups": 0}), "out/mined.jsonl")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_and_one_that_is_not_ranked_by(checkpoints, groups, tmp_path):
    def mined_with(folder):
        run_mining(
            config_of(checkpoints, groups),
            ModelConfig(name=str(folder)),
            MiningConfig(),
            tmp_path / "mined.jsonl",
        )

    with pytest.raises(ModelError, match="no such folder"):
        mined_with(tmp_path / "nowhere")
    model = SentenceTransformer(
        str(checkpoints["static"]), device="cpu", similarity_fn_name="euclidean"
    )
    model.save(str(tmp_path / "euclidean"))
    with pytest.raises(ModelError, match=r"is made for euclidean similarity; negatives are mined"):
        mined_with(tmp_path / "euclidean")
    assert not (tmp_path / "mined.jsonl").exists()


def test_an_encoder_that_gives_nan_is_told_with_the_text(checkpoints, groups, mine, monkeypatch):
    encode = SentenceEncoder.encode

    def broken(self, texts, role, **options):
        vectors = encode(self, texts, role, **options)
        if role == "passage":
            vectors[0] = np.nan
        return vectors

    monkeypatch.setattr(SentenceEncoder, "encode", broken)
    with pytest.raises(DataError, match=r"passage '.{20,60}': its embedding holds NaN"):
        mine(config_of(checkpoints, groups))


def test_data_that_changed_while_it_was_mined_is_refused(checkpoints, groups, mine, monkeypatch):
    config = config_of(checkpoints, groups)
    monkeypatch.setattr(
        pipeline,
        "with_negatives",
        lambda source, *rest: with_negatives(list(source)[:-9], *rest),
    )
    with pytest.raises(DataError, match=r"data set 'groups' was changed while it was mined: group"):
        mine(config)
    assert not Path(groups.parent / "mined.jsonl").exists()


def test_data_that_change_while_they_are_mined_leave_no_record(
    checkpoints, groups, mine, tmp_path, monkeypatch
):
    path = tmp_path / "copy.jsonl"
    path.write_bytes(groups.read_bytes())
    write = mining_module.write_groups

    def change(*arguments):
        path.write_bytes(path.read_bytes() + b"\n")
        return write(*arguments)

    monkeypatch.setattr(mining_module, "write_groups", change)
    with pytest.raises(DataError, match="were changed while they were mined; mine again"):
        mine(config_of(checkpoints, path))
    assert not list(tmp_path.glob("*.mining.json"))
