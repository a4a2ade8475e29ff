"""Whatever ends a run, nothing complete is lost, and the same command ends it in the same bits."""

import json
import re
import shutil

import pytest
import yaml

from isoglot.artifacts import is_complete
from isoglot.cli.app import run as isoglot
from isoglot.training.loop.checkpoints import (
    checkpoint_of,
    find_damage,
    last_intact,
    remove_old,
    seal,
)
from tests.training.faults import (
    AtFile,
    AtStep,
    FilesAtMost,
    NoRoom,
    assert_same_runs,
    flip_byte,
    start,
    torchrun,
    truncate,
    write_config,
)
from tests.training.runs import train_config, write_training_groups

pytestmark = pytest.mark.timeout(200)

STATIC = {"precision": "fp32", "learning_rate": 1e-2, "steps": 8, "log_every": 3}
"""Checkpoints come at every second step; lines of the log between them."""

EVERYTHING = STATIC | {"gradient_accumulation": 2, "mini_batch_size": 3, "workers": 2}

RUNS = {
    "static": ("static", STATIC),
    "static, everything": ("static", EVERYTHING),
    "xlm-r": ("xlm-r", STATIC),
    "xlm-r, everything": ("xlm-r", EVERYTHING),
    "xlm-r, bf16": ("xlm-r", EVERYTHING | {"precision": "bf16"}),
    "labse": ("labse", EVERYTHING),
    "many passes": ("static", EVERYTHING | {"steps": 40}),
}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def config_of(checkpoints, groups, tmp_path_factory):
    """Return the file of a config by the name of its run."""
    folder = tmp_path_factory.mktemp("configs")

    def write(name):
        layout, training = RUNS[name]
        config = train_config(checkpoints[layout], groups, training=training)
        return write_config(folder / f"{name}.yaml", config)

    return write


@pytest.fixture(scope="module")
def whole(config_of, tmp_path_factory):
    """Return the folder of an uninterrupted run, which is run once."""
    folder, known = tmp_path_factory.mktemp("whole"), {}

    def find(name, processes=1):
        if (name, processes) not in known:
            run = folder / f"{name}-{processes}"
            assert_done(start(config_of(name), run, processes=processes).wait())
            known[name, processes] = run
        return known[name, processes]

    return find


@pytest.fixture(scope="module")
def killed(config_of, tmp_path_factory):
    """Return a run that was killed after its seventh step, with checkpoints of steps 4 and 6."""
    run = tmp_path_factory.mktemp("killed") / "run"
    assert start(config_of("static"), run, fault=AtStep(7)).wait().killed
    assert {4, 6} <= checkpoints_of(run).keys()
    return run


@pytest.fixture
def parts(killed, tmp_path):
    """Return a copy of it that may be damaged."""
    return shutil.copytree(killed, tmp_path / "parts")


def assert_done(ended):
    assert ended.done, ended.said


def error_of(ended):
    """Return the one line that says what is wrong; bars share its stream."""
    lines = [line for line in ended.said.splitlines() if line.startswith("isoglot: ")]
    assert len(lines) == 1, ended.said
    return lines[0]


def checkpoints_of(run):
    """Return what is wrong with each checkpoint of a run, by step."""
    folders = (run / "checkpoints").glob("checkpoint-*")
    return {int(path.name.split("-")[1]): find_damage(path) for path in folders if path.is_dir()}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "processes", "faults"),
    [
        # The second kill comes one step after the first, the last checkpoint being that of step 4.
        slow("xlm-r, everything", 1, [AtStep(5), AtStep(2)]),
        ("static, everything", 2, [AtStep(5, rank=1)]),
        slow("static", 1, [AtStep(1), AtStep(2), AtStep(3), AtStep(3), AtStep(2)]),
        slow("xlm-r", 2, [AtStep(5, rank=0), AtStep(2, rank=1)]),
        slow("xlm-r, everything", 2, [AtStep(5), AtStep(2), AtStep(2, rank=1)]),
        slow("xlm-r, bf16", 1, [AtStep(5)]),
        slow("xlm-r, bf16", 2, [AtStep(5)]),
        slow("labse", 1, [AtStep(5), AtStep(2)]),
        slow("labse", 2, [AtStep(5, rank=1)]),
        slow("many passes", 1, [AtStep(31), AtStep(1)]),
        slow("many passes", 2, [AtStep(31, rank=1), AtStep(1, rank=0)]),
    ],
)
def test_a_killed_run_ends_in_the_same_bits(config_of, whole, tmp_path, name, processes, faults):
    run = tmp_path / "run"
    for fault in faults:
        assert start(config_of(name), run, processes=processes, fault=fault).wait().killed
        assert not is_complete(run)
    assert_done(start(config_of(name), run, processes=processes).wait())
    assert_same_runs(whole(name, processes), run)


def test_more_rows_are_drawn_than_there_are(whole):
    # So the runs above go past the first visit of their data.
    census = json.loads((whole("xlm-r, everything") / "census.json").read_text("utf-8"))
    assert sum(census["drawn"]["rows_by_pair"].values()) > 2 * census["available"]["groups"]


DAMAGES = {
    "optimizer cut": ("optimizer.pt", truncate, "optimizer.pt is not as it was written"),
    "weights changed": ("model.safetensors", flip_byte, "model.safetensors is not as it was"),
    "weights gone": ("model.safetensors", lambda path: path.unlink(), "safetensors is missing"),
    "state changed": ("trainer_state.json", flip_byte, "trainer_state.json is not as it was"),
    "random state cut": ("rng_state.pth", truncate, "rng_state.pth is not as it was written"),
    "schedule changed": ("scheduler.pt", flip_byte, "scheduler.pt is not as it was written"),
    "ledger cut": ("ledger.json", truncate, "ledger.json is not as it was written"),
    "checksums cut": ("checksums.json", truncate, "checksums.json cannot be read"),
    "checksums gone": ("checksums.json", lambda path: path.unlink(), "not written to its end"),
}


@pytest.mark.parametrize(
    "name", [name if name == "optimizer cut" else slow(name) for name in DAMAGES]
)
def test_of_a_damaged_checkpoint_the_one_before_is_used(config_of, whole, parts, name):
    file, damage, reason = DAMAGES[name]
    newest = parts / "checkpoints" / "checkpoint-6"
    damage(newest / file)
    ended = start(config_of("static"), parts).wait()
    assert_done(ended)
    assert re.search(rf"^{newest}: not used, because .*{re.escape(reason)}", ended.said, re.M)
    assert f"going on from {newest.with_name('checkpoint-4')}\n" in ended.said
    assert_same_runs(whole("static"), parts)


@pytest.mark.slow
def test_when_all_checkpoints_are_damaged_the_run_begins_anew(config_of, whole, parts):
    damaged = checkpoints_of(parts)
    for step in damaged:
        truncate(parts / "checkpoints" / f"checkpoint-{step}" / "optimizer.pt")
    ended = start(config_of("static"), parts).wait()
    assert_done(ended)
    assert ended.said.count("not used, because") == len(damaged)
    assert "going on" not in ended.said
    assert_same_runs(whole("static"), parts)


def write_checkpoint(folder, step, best):
    checkpoint = checkpoint_of(folder, step)
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    seal(checkpoint)
    remove_old(folder, best)
    return checkpoint


def test_the_best_checkpoint_of_the_one_before_the_newest_is_kept(tmp_path):
    # The newest is the best now. If it is damaged, the one before needs the best it knew.
    write_checkpoint(tmp_path, 2, best=2)
    before = write_checkpoint(tmp_path, 4, best=2)
    newest = write_checkpoint(tmp_path, 6, best=6)
    truncate(newest / "trainer_state.json")
    assert last_intact(tmp_path, lambda line: None) == before


@pytest.mark.slow
def test_a_run_folder_can_be_moved_before_it_goes_on(config_of, whole, killed, parts, tmp_path):
    gone = killed.rename(tmp_path / "elsewhere")
    try:
        assert_done(start(config_of("static"), parts).wait())
    finally:
        gone.rename(killed)
    assert_same_runs(whole("static"), parts)


NO_ROOM = {
    "weights": (FilesAtMost(100_000), "File too large"),
    "optimizer": (FilesAtMost(250_000), "cannot be written ("),
    "state": (NoRoom("checkpoint-4/trainer_state.json"), "No space left on device"),
    "ledger": (NoRoom("checkpoint-4/.ledger.json"), "No space left on device"),
    "checksums": (NoRoom("checkpoint-4/.checksums.json"), "No space left on device"),
    "model": (NoRoom("/model/"), "No space left on device"),
    "log": (NoRoom(".log.json"), "No space left on device"),
    "provenance": (NoRoom(".provenance.json"), "No space left on device"),
    "marker": (NoRoom(".COMPLETE"), "No space left on device"),
    "config": (NoRoom(".config.yaml"), "No space left on device"),
}


@pytest.mark.parametrize(
    "name", [name if name in {"optimizer", "state"} else slow(name) for name in NO_ROOM]
)
def test_a_full_disk_loses_nothing(config_of, whole, tmp_path, name):
    fault, reason = NO_ROOM[name]
    run = tmp_path / "run"
    ended = start(config_of("static"), run, fault=fault).wait()
    assert_stopped(ended, run, reason)
    assert not any(checkpoints_of(run).values())
    assert_done(start(config_of("static"), run).wait())
    assert_same_runs(whole("static"), run)


def assert_stopped(ended, run, reason):
    assert ended.codes == (2,), ended.said
    line = error_of(ended)
    assert line.startswith(f"isoglot: {run}")
    assert "cannot be written" in line
    assert reason in line
    assert not is_complete(run)


@pytest.mark.parametrize("blocked", ["model", slow("checkpoints")])
def test_a_folder_that_cannot_be_written_loses_nothing(config_of, whole, tmp_path, blocked):
    run = tmp_path / "run"
    (run / blocked).parent.mkdir(parents=True)
    (run / blocked).touch()
    ended = start(config_of("static"), run).wait()
    assert ended.codes == (2,), ended.said
    assert error_of(ended).startswith(f"isoglot: {run}")
    assert not any(checkpoints_of(run).values())
    assert not is_complete(run)
    (run / blocked).unlink(missing_ok=True)
    assert_done(start(config_of("static"), run).wait())
    assert_same_runs(whole("static"), run)


@pytest.mark.slow
def test_a_full_disk_stops_both_processes(config_of, whole, tmp_path):
    run, name = tmp_path / "run", "static, everything"
    ended = start(config_of(name), run, processes=2, fault=NO_ROOM["state"][0]).wait()
    assert ended.codes[0] == 2, ended.said
    assert ended.codes[1] != 0
    assert "No space left on device" in ended.said_by[0]
    assert not is_complete(run)
    assert_done(start(config_of(name), run, processes=2).wait())
    assert_same_runs(whole(name, 2), run)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["checkpoint-4", "/model/", "COMPLETE"])
def test_a_run_killed_at_any_file_ends_in_the_same_bits(config_of, whole, tmp_path, part):
    for time in range(1, 200):
        run = tmp_path / f"run-{time}"
        ended = start(config_of("static"), run, fault=AtFile(part, time)).wait()
        if not ended.killed:
            assert_done(ended)
            assert time > 1
            return
        if not is_complete(run):
            assert_done(start(config_of("static"), run).wait())
        assert_same_runs(whole("static"), run)
        shutil.rmtree(run)
    pytest.fail("there is no end to its files")


@pytest.mark.slow
def test_when_torchrun_is_killed_the_run_ends_in_the_same_bits(config_of, whole, tmp_path):
    run, config = tmp_path / "run", config_of("static, everything")
    at = run / "checkpoints" / "checkpoint-4"
    assert not torchrun(config, run, processes=2, kill_at=at).done
    assert not is_complete(run)
    assert_done(torchrun(config, run, processes=2))
    assert_same_runs(whole("static, everything", 2), run)


@pytest.mark.parametrize("development", [0, slow(3)])
def test_a_run_that_has_lost_its_way_names_a_batch_that_can_be_shown(
    checkpoints, groups, tmp_path, capsys, development
):
    training = STATIC | {"learning_rate": 1e30}
    sections = {"training": training, "development": {"groups": development}}
    config = train_config(checkpoints["static"], groups, **sections)
    run = tmp_path / "run"
    ended = start(write_config(tmp_path / "config.yaml", config), run).wait()
    assert ended.codes == (2,), ended.said
    line = error_of(ended)
    found = re.match(r"isoglot: training stopped at batch (\d+): .*--show-batch \1", line)
    assert found, line
    assert not is_complete(run)
    assert yaml.safe_load((run / "config.yaml").read_text("utf-8"))["training"]["seed"] == 0
    capsys.readouterr()
    assert isoglot(["train", str(run / "config.yaml"), "--show-batch", found[1]]) == 0
    assert f"batch {found[1]}" in capsys.readouterr().out
