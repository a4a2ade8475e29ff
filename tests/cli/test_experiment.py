"""``isoglot experiment`` on the command line."""

import pytest
import yaml

from isoglot.artifacts import is_complete
from tests.training.runs import write_training_groups


@pytest.fixture
def config_file(checkpoints, tmp_path):
    groups = str(write_training_groups(tmp_path / "groups.jsonl"))
    values = {
        "encoders": [{"label": "tiny", "name": str(checkpoints["static"])}],
        "regimes": ["hybrid"],
        "variants": [{"label": "warm", "set": {"loss.temperature": 1.0}}],
        "seeds": [0],
        "benchmarks": [{"benchmark": groups, "measures": ["AP"]}],
        "data": [{"path": groups}],
        "batches": {"size": 4},
        "training": {"steps": 1},
        "development": {"groups": 0},
        "audit": False,
    }
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(values), "utf-8")
    return path


def test_some_methods_first_and_the_tables_at_the_end(call, config_file, tmp_path):
    folder = tmp_path / "grid"
    code, out, _ = call("experiment", config_file, "-o", folder, "--only", "untrained, warm")
    assert code == 0
    assert out == f"[1/2] tiny/untrained\n[2/2] tiny/warm-seed0\nresults: {folder}\n"
    assert not is_complete(folder)
    code, out, _ = call("experiment", config_file, "-o", folder)
    assert code == 0
    assert "[2/3] tiny/hybrid-seed0" in out and "multilingual AP" in out
    assert is_complete(folder)


def test_a_label_that_is_none_is_one_line(call, config_file, tmp_path):
    code, _, err = call("experiment", config_file, "-o", tmp_path / "grid", "--only", "wram")
    assert code == 2
    assert err == (
        "isoglot: --only: nothing is called 'wram'; allowed: untrained, hybrid, warm; "
        "did you mean 'warm'?\n"
    )
    assert not (tmp_path / "grid").exists()
