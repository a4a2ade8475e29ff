"""Data of small runs, and a way to interrupt them."""

import pytest

from isoglot.training.loop.trainer import PlannedTrainer
from tests.training.runs import write_bitext, write_training_groups


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def bitext(tmp_path_factory):
    return write_bitext(tmp_path_factory.mktemp("data") / "bitext.jsonl")


@pytest.fixture
def stop_after(monkeypatch):
    """Interrupt the run when a step is done and its checkpoint, if it has one, is written."""

    def arm(step):
        original = PlannedTrainer._maybe_log_save_evaluate

        def until(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            if self.state.global_step == step:
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(PlannedTrainer, "_maybe_log_save_evaluate", until)
        return lambda: monkeypatch.setattr(PlannedTrainer, "_maybe_log_save_evaluate", original)

    return arm
