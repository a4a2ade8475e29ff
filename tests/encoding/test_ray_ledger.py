"""Shards that are made in any order leave the manifest of shards made in order."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isoglot.encoding.ray_ledger import ShardLedger
from isoglot.encoding.shards import Origin, ShardWriter, open_shards, write_shard
from isoglot.errors import ArtifactError

ORIGIN = Origin("tiny", "0" * 64, 2, "float16", "cosine", "", "", 3)
SIZES = {"bn": 4, "sw": 10}
SHARDS = {"bn": 2, "sw": 4}


def rows(lang, number):
    return range(3 * number, min(3 * number + 3, SIZES[lang]))


def make(folder, lang, number, inputs=None):
    """What a worker does."""
    ids = [f"{lang}:{row}" for row in rows(lang, number)]
    vectors = np.array([[row, number] for row in rows(lang, number)], dtype=np.float16)
    return write_shard(folder, "passages", lang, number, ids, vectors, inputs or f"{lang}{number}")


def add(ledger, folder, lang, number):
    ledger.add(lang, number, make(folder, lang, number))


def states(ledger):
    return {
        lang: [ledger.state(lang, number, lambda lang=lang, n=number: f"{lang}{n}") for number in n]
        for lang, n in ((lang, range(shards)) for lang, shards in SHARDS.items())
    }


def in_order(folder):
    """The slow obvious way."""
    writer = ShardWriter(folder, ORIGIN)
    for lang, shards in SHARDS.items():
        for number in range(shards):
            writer.enter("passages", lang, number, make(folder, lang, number))
        writer.finish("passages", lang, shards)
    return contents(folder)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def entered(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    return [shard["file"] for shard in manifest["passages"]["sw"]["shards"]]


def test_a_shard_waits_for_those_before_it(tmp_path):
    ledger = ShardLedger(tmp_path, ORIGIN)
    add(ledger, tmp_path, "sw", 0)
    add(ledger, tmp_path, "sw", 3)
    add(ledger, tmp_path, "sw", 2)
    assert entered(tmp_path) == ["passages/sw-00000.npy"]
    waiting = json.loads((tmp_path / "early.json").read_text())
    assert sorted(waiting["passages"]["sw"]) == ["2", "3"]
    add(ledger, tmp_path, "sw", 1)
    assert entered(tmp_path) == [f"passages/sw-0000{number}.npy" for number in range(4)]
    assert not (tmp_path / "early.json").exists()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations([(lang, n) for lang, shards in SHARDS.items() for n in range(shards)]),
    killed=st.sets(st.integers(1, 5)),
)
def test_any_order_and_any_killed_drivers_leave_the_same_bytes(order, killed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    ledger, made = ShardLedger(folder, ORIGIN), set()
    for place, (lang, number) in enumerate(order):
        if place in killed:
            ledger = ShardLedger(folder, ORIGIN)
            found = states(ledger)
            present = {(k, n) for k, v in found.items() for n, s in enumerate(v) if s == "present"}
            assert present == made
        add(ledger, folder, lang, number)
        made.add((lang, number))
    ledger.finish(SIZES)
    assert contents(folder) == in_order(tmp_path_factory.mktemp("ordered"))


def test_a_driver_killed_between_manifest_and_early_shards_loses_none(tmp_path):
    ledger = ShardLedger(tmp_path, ORIGIN)
    for number in (1, 2, 3):
        add(ledger, tmp_path, "sw", number)
    for number in (0, 1):
        add(ledger, tmp_path, "bn", number)
    early = (tmp_path / "early.json").read_bytes()
    # It had entered shards 0 and 1 and no more.
    writer = ShardWriter(tmp_path, ORIGIN)
    for number in (0, 1):
        writer.enter("passages", "sw", number, make(tmp_path, "sw", number))
    (tmp_path / "early.json").write_bytes(early)
    resumed = ShardLedger(tmp_path, ORIGIN)
    assert states(resumed) == {"bn": ["present"] * 2, "sw": ["present"] * 4}
    resumed.finish(SIZES)
    assert contents(tmp_path) == in_order(tmp_path.with_name("ordered"))


def test_an_early_shard_that_was_damaged_is_made_again(tmp_path):
    ledger = ShardLedger(tmp_path, ORIGIN)
    for number in (1, 2, 3):
        add(ledger, tmp_path, "sw", number)
    path = tmp_path / "passages" / "sw-00002.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (tmp_path / "passages" / "sw-00003.ids.txt").unlink()
    found = states(ShardLedger(tmp_path, ORIGIN))["sw"]
    assert found == ["absent", "present", "absent", "absent"]


def test_an_early_shard_of_other_passages_is_made_again(tmp_path):
    ledger = ShardLedger(tmp_path, ORIGIN)
    ledger.add("sw", 1, make(tmp_path, "sw", 1, inputs="changed"))
    found = states(ShardLedger(tmp_path, ORIGIN))["sw"]
    assert found[1] == "sw-00001.npy holds other passages"


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"origin": 1, "passages": {}}'])
def test_early_shards_of_other_origin_or_without_a_sound_record_are_forgotten(tmp_path, record):
    add(ShardLedger(tmp_path, ORIGIN), tmp_path, "sw", 1)
    (tmp_path / "early.json").write_text(record)
    assert states(ShardLedger(tmp_path, ORIGIN))["sw"] == ["absent"] * 4


def test_damage_in_the_manifest_is_mended_in_its_place(tmp_path):
    expected = in_order(tmp_path)
    (tmp_path / "passages" / "sw-00001.npy").unlink()
    ledger = ShardLedger(tmp_path, ORIGIN)
    assert states(ledger)["sw"] == ["present", "sw-00001.npy is missing", "present", "present"]
    add(ledger, tmp_path, "sw", 1)
    ledger.finish(SIZES)
    assert contents(tmp_path) == expected


def test_what_killed_workers_and_drivers_left_goes_in_the_end(tmp_path):
    (tmp_path / "passages").mkdir()
    (tmp_path / ".early.json.abc").write_bytes(b"half")
    ledger = ShardLedger(tmp_path, ORIGIN)
    (tmp_path / "passages" / ".sw-00001.npy.abc").write_bytes(b"half")
    for lang, shards in SHARDS.items():
        for number in range(shards):
            add(ledger, tmp_path, lang, number)
    ledger.finish(SIZES)
    assert contents(tmp_path) == in_order(tmp_path.with_name("ordered"))


def test_a_shard_that_is_not_to_be_seen_here(tmp_path):
    ledger = ShardLedger(tmp_path / "here", ORIGIN)
    with pytest.raises(
        ArtifactError, match=r"sw-00000\.npy: written by a worker, but .* is missing where"
    ):
        ledger.add("sw", 0, make(tmp_path / "there", "sw", 0))


def test_missing_shards_and_wrong_counts_do_not_pass_as_finished(tmp_path):
    ledger = ShardLedger(tmp_path, ORIGIN)
    for number in (0, 2):
        add(ledger, tmp_path, "sw", number)
    with pytest.raises(ArtifactError, match="1 of 4 shards of passages in 'sw' were made; encode"):
        ledger.finish({"sw": 10})
    with pytest.raises(ArtifactError, match="unfinished"):
        open_shards(tmp_path)
    for number in (1, 3):
        add(ledger, tmp_path, "sw", number)
    with pytest.raises(ArtifactError, match="holds 10 vectors for 11 passages in 'sw'; delete"):
        ledger.finish({"sw": 11})
