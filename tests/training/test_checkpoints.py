"""A damaged checkpoint is found out, named, and passed over; an intact one is kept."""

import json

import pytest

from isoglot.training.loop.checkpoints import (
    checkpoint_of,
    find_damage,
    last_intact,
    remove_newer,
    remove_old,
    seal,
)


def write_checkpoint(folder, step, *, best=None):
    checkpoint = checkpoint_of(folder, step)
    (checkpoint / "0_Transformer").mkdir(parents=True)
    (checkpoint / "0_Transformer" / "model.safetensors").write_bytes(b"weights" * 100)
    (checkpoint / "optimizer.pt").write_bytes(b"moments" * 200)
    (checkpoint / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    seal(checkpoint)
    return checkpoint


def test_a_sealed_checkpoint_is_intact(tmp_path):
    assert find_damage(write_checkpoint(tmp_path, 3)) is None


def truncate(checkpoint):
    path = checkpoint / "optimizer.pt"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(checkpoint):
    path = checkpoint / "0_Transformer" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "optimizer.pt is not as it was written": truncate,
    "0_Transformer/model.safetensors is not as it was written": flip_a_bit,
    "optimizer.pt is missing": lambda checkpoint: (checkpoint / "optimizer.pt").unlink(),
    "it was not written to its end": lambda checkpoint: (checkpoint / "checksums.json").unlink(),
    "checksums.json cannot be read": lambda checkpoint: (checkpoint / "checksums.json").write_text(
        '{"optim'
    ),
}


@pytest.mark.parametrize(("reason", "damage"), DAMAGES.items(), ids=DAMAGES)
def test_of_a_damaged_checkpoint_the_one_before_is_used(tmp_path, reason, damage):
    before, newest = write_checkpoint(tmp_path, 9), write_checkpoint(tmp_path, 10)
    damage(newest)
    lines = []
    assert last_intact(tmp_path, lines.append) == before
    assert lines == [f"{newest}: not used, because {reason}"]


def test_checksums_that_are_no_mapping_are_damage(tmp_path):
    checkpoint = write_checkpoint(tmp_path, 1)
    (checkpoint / "checksums.json").write_text("[]")
    assert find_damage(checkpoint) == "checksums.json cannot be read"


def test_without_any_intact_checkpoint_there_is_none(tmp_path):
    truncate(write_checkpoint(tmp_path, 1))
    lines = []
    assert last_intact(tmp_path, lines.append) is None
    assert len(lines) == 1
    assert last_intact(tmp_path / "nothing", lines.append) is None


def test_a_run_cannot_go_on_when_its_best_checkpoint_is_damaged(tmp_path):
    first = write_checkpoint(tmp_path, 2)
    best = write_checkpoint(tmp_path, 4, best=4)
    write_checkpoint(tmp_path, 6, best=4)
    truncate(best)
    lines = []
    assert last_intact(tmp_path, lines.append) == first
    reason = "the best one before it, checkpoint-4, is damaged: optimizer.pt is not as it was"
    assert reason in lines[0]


def test_what_was_passed_over_does_not_count_among_the_newest(tmp_path):
    good = write_checkpoint(tmp_path, 2)
    for step in (8, 10):
        truncate(write_checkpoint(tmp_path, step))
    assert last_intact(tmp_path, print) == good
    remove_newer(tmp_path, good)
    write_checkpoint(tmp_path, 4)
    remove_old(tmp_path, best=None)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "checkpoint-4"}
    remove_newer(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    for step in (2, 4, 6, 8, 10):
        write_checkpoint(tmp_path, step)
    remove_old(tmp_path, best=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-10",
        "checkpoint-4",
        "checkpoint-8",
    ]
    remove_old(tmp_path, best=None)
    assert len(list(tmp_path.iterdir())) == 2
