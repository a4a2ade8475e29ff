"""A folder of shards says what it holds, and damage to it is found."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from isoglot.encoding.shards import (
    Origin,
    ShardWriter,
    hash_inputs,
    open_shards,
    read_origin,
)
from isoglot.errors import ArtifactError, DataError

ORIGIN = Origin("tiny", "0" * 64, 2, "float16", "cosine", "", "passage: ", 3)


def vectors(rows, start=0):
    return np.arange(start, start + 2 * rows, dtype=np.float16).reshape(rows, 2)


def write(folder, langs=("sw", "bn"), origin=ORIGIN, finish=True):
    """Two shards of passages and one of queries per language."""
    writer = ShardWriter(folder, origin)
    for lang in langs:
        writer.write("passages", lang, 0, [f"{lang}:0", f"{lang}:1", f"{lang}:2"], vectors(3), "p0")
        writer.write("passages", lang, 1, [f"{lang}:3"], vectors(1, 6), "p1")
        writer.write("queries", lang, 0, ["7", "8"], vectors(2), "q0")
        if finish:
            writer.finish("passages", lang, 2)
            writer.finish("queries", lang, 1)
    return writer


def test_what_is_written_is_read_memory_mapped_languages_sorted(tmp_path):
    write(tmp_path)
    shards = open_shards(tmp_path, verify=True)
    assert (shards.origin, list(shards.shards["passages"])) == (ORIGIN, ["bn", "sw"])
    passages = list(shards.vectors("passages"))
    assert all(isinstance(array, np.memmap) for array in passages)
    assert [array.tolist() for array in passages] == [
        [[0, 1], [2, 3], [4, 5]],
        [[6, 7]],
    ] * 2
    assert list(shards.ids("passages")) == [
        ("bn", ["bn:0", "bn:1", "bn:2"]),
        ("bn", ["bn:3"]),
        ("sw", ["sw:0", "sw:1", "sw:2"]),
        ("sw", ["sw:3"]),
    ]
    assert [len(array) for array in shards.vectors("queries")] == [2, 2]
    part = open_shards(tmp_path, passage_langs=["sw", "te"], query_langs=["bn"])
    assert list(part.ids("queries")) == [("bn", ["7", "8"])]
    assert [lang for lang, _ in part.ids("passages")] == ["sw", "sw"]
    assert [len(array) for array in part.vectors("passages")] == [3, 1]


def test_the_layout(tmp_path):
    write(tmp_path, ["sw"])
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == [
        "manifest.json",
        "passages/sw-00000.ids.txt",
        "passages/sw-00000.npy",
        "passages/sw-00001.ids.txt",
        "passages/sw-00001.npy",
        "queries/sw-00000.ids.txt",
        "queries/sw-00000.npy",
    ]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["format"] == "isoglot embeddings 1"
    assert manifest["origin"]["passage_prompt"] == "passage: "
    assert manifest["passages"]["sw"]["complete"] is True
    assert [shard["rows"] for shard in manifest["passages"]["sw"]["shards"]] == [3, 1]


def test_an_unfinished_language_is_not_read(tmp_path):
    write(tmp_path, finish=False)
    with pytest.raises(
        ArtifactError, match=r"the queries in 'bn' are unfinished \(1 shards so far\); encode again"
    ):
        open_shards(tmp_path)


def test_other_languages_may_be_unfinished_or_damaged(tmp_path):
    write(tmp_path, ["sw"])
    write(tmp_path, ["bn"], finish=False)
    with pytest.raises(ArtifactError, match=r"the passages in 'bn' are unfinished \(2 shards"):
        open_shards(tmp_path, passage_langs=["bn", "sw"], query_langs=["sw"])
    write(tmp_path, ["te"])
    (tmp_path / "passages" / "te-00000.npy").unlink()
    with pytest.raises(ArtifactError, match=r"te-00000\.npy is missing"):
        open_shards(tmp_path, passage_langs=["sw", "te"], query_langs=["sw"])
    found = open_shards(tmp_path, passage_langs=["sw"], query_langs=["sw"], verify=True)
    assert [len(array) for array in found.vectors("passages")] == [3, 1]


def test_the_origin_is_read_without_the_shards(tmp_path):
    assert read_origin(tmp_path) is None
    write(tmp_path, finish=False)
    shutil.rmtree(tmp_path / "passages")
    assert read_origin(tmp_path) == ORIGIN


def test_a_manifest_that_does_not_say_the_precision_is_read(tmp_path):
    write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["origin"].pop("precision") == "float32"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert open_shards(tmp_path).origin == ORIGIN


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    write(tmp_path, ["sw"])
    before = sorted(tmp_path.rglob("*"))
    for name in (
        ".manifest.json.abc",
        "passages/.sw-00002.npy.abc",
        "passages/.sw-00002.ids.txt.abc",
        "queries/.sw-00001.npy.abc",
        "queries/.sw-00001.ids.txt.abc",
    ):
        (tmp_path / name).touch()
    ShardWriter(tmp_path, ORIGIN)
    assert sorted(tmp_path.rglob("*")) == before


def test_sizes_are_always_compared_and_hashes_when_asked_for(tmp_path):
    write(tmp_path)
    path = tmp_path / "passages" / "sw-00000.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + b"xx")
    open_shards(tmp_path)
    with pytest.raises(ArtifactError, match=r"sw-00000\.npy: sw-00000\.npy has another SHA-256"):
        open_shards(tmp_path, verify=True)
    os.truncate(path, 100)
    with pytest.raises(ArtifactError, match=r"has 100 bytes, the manifest says 140; encode again"):
        open_shards(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "passages" / "sw-00001.ids.txt").unlink()
    with pytest.raises(ArtifactError, match=r"sw-00001\.ids\.txt is missing"):
        open_shards(tmp_path)


def test_an_array_of_another_kind_is_refused_though_it_has_the_right_size(tmp_path):
    write(tmp_path, ["sw"])
    path = tmp_path / "passages" / "sw-00000.npy"
    np.save(path, vectors(3).reshape(2, 3))
    with pytest.raises(ArtifactError, match=r"shape \(2, 3\), the manifest says \(3, 2\)"):
        list(open_shards(tmp_path).vectors("passages"))
    path.write_bytes(b"x" * 140)
    with pytest.raises(ArtifactError, match=r"sw-00000\.npy: cannot be read as \.npy"):
        list(open_shards(tmp_path).vectors("passages"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is no manifest of embeddings"),
        ('{"format": "isoglot embeddings 9"}', "9'; this version reads 'isoglot embeddings 1'"),
        (
            '{"format": "isoglot embeddings 1", "passages": {}}',
            r"no manifest of embeddings \('queries'\)",
        ),
    ],
)
def test_a_manifest_that_is_none(tmp_path, content, message):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=message):
        open_shards(tmp_path)


def test_a_folder_without_manifest(tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest\.json: no such file"):
        open_shards(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"identity": "1" * 64, "model": "large"},
            r"embeddings of model 'tiny \(000000000000\)', not 'large \(111111111111\)'; choose",
        ),
        ({"dtype": "float32"}, "holds embeddings of dtype 'float16', not 'float32'"),
        ({"passage_prompt": ""}, "of passage_prompt 'passage: ', not ''"),
        ({"shard_size": 9}, "of shard_size 3, not 9"),
        ({"precision": "int8"}, "of precision 'float32', not 'int8'; .* or allow mix_precisions"),
    ],
)
def test_embeddings_of_another_origin_are_not_mixed_in(tmp_path, changes, message):
    write(tmp_path)
    with pytest.raises(ArtifactError, match=message):
        ShardWriter(tmp_path, replace(ORIGIN, **changes))
    ShardWriter(tmp_path, replace(ORIGIN, model="the same by another name"))


def test_what_a_shard_needs(tmp_path):
    write(tmp_path)
    writer = ShardWriter(tmp_path, ORIGIN)
    assert writer.state("passages", "sw", 0, "p0") == "present"
    assert writer.state("passages", "sw", 2, "p2") == "absent"
    assert writer.state("passages", "te", 0, "p0") == "absent"
    with pytest.raises(ArtifactError, match=r"sw-00001\.npy: made from other passages than those"):
        writer.state("passages", "sw", 1, "changed")
    path = tmp_path / "passages" / "sw-00000.npy"
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    assert writer.state("passages", "sw", 0, "p0") == "present"
    verifying = ShardWriter(tmp_path, ORIGIN, verify=True)
    assert "another SHA-256" in verifying.state("passages", "sw", 0, "p0")


def test_queries_may_be_others_than_before(tmp_path):
    writer = write(tmp_path)
    writer.write("queries", "sw", 1, ["9"], vectors(1), "q1")
    assert writer.state("queries", "sw", 0, "changed") == "sw-00000.npy holds other queries"
    writer.write("queries", "sw", 0, ["x"], vectors(1), "changed")
    writer.finish("queries", "sw", 1)
    shards = open_shards(tmp_path, verify=True)
    assert dict(shards.ids("queries"))["sw"] == ["x"]
    assert sorted(path.name for path in tmp_path.glob("queries/sw*")) == [
        "sw-00000.ids.txt",
        "sw-00000.npy",
    ]


def test_more_shards_than_texts_make_is_an_error(tmp_path):
    write(tmp_path)
    with pytest.raises(ArtifactError, match=r"holds 2 shards of passages in 'sw', those .* make 1"):
        ShardWriter(tmp_path, ORIGIN).finish("passages", "sw", 1)


def test_an_id_with_a_line_break_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match=r"id 'a\\nb' has a line break"):
        ShardWriter(tmp_path, ORIGIN).write("passages", "sw", 0, ["a\nb"], vectors(1), "p")
    assert list(tmp_path.iterdir()) == []


def test_a_hash_knows_ids_texts_and_their_order():
    lists = [
        (["a", "b"], ["x", "y"]),
        (["a", "b"], ["y", "x"]),
        (["b", "a"], ["x", "y"]),
        (["ab"], ["xy"]),
        (["a"], ["bxy"]),
        (["a"], ["x"]),
    ]
    assert len({hash_inputs(*pair) for pair in lists}) == len(lists)
