"""The log's losses by kind, exactly resumed; a loss that is no number, or too high, stops a run."""

import json
import math

import pytest

from isoglot.errors import TrainingError
from isoglot.training.loop.ledger import Ledger


def test_a_line_is_the_mean_by_kind_since_the_line_before():
    ledger = Ledger()
    for index, (kind, loss) in enumerate([("monolingual", 1.0), ("cross-lingual", 4.0)] * 2):
        ledger.add(kind, index, loss + index)
    # monolingual 1 and 3; cross-lingual 5 and 7
    assert ledger.line() == {
        "loss": 4.0,
        "loss_cross-lingual": 6.0,
        "loss_monolingual": 2.0,
        "batches_cross-lingual": 2,
        "batches_monolingual": 2,
    }
    ledger.add("monolingual", 4, 9.0)
    assert ledger.line() == {
        "loss": 9.0,
        "loss_monolingual": 9.0,
        "batches_cross-lingual": 2,
        "batches_monolingual": 3,
    }


def test_a_stored_ledger_goes_on_bit_by_bit():
    whole, first = Ledger(), Ledger()
    losses = [math.pi / (index + 3) for index in range(20)]
    for index, loss in enumerate(losses):
        whole.add("monolingual", index, loss)
    for index, loss in enumerate(losses[:11]):
        first.add("monolingual", index, loss)
    second = Ledger()
    second.load(json.loads(json.dumps(first.state())))
    for index, loss in enumerate(losses[11:], start=11):
        second.add("monolingual", index, loss)
    assert second.line() == whole.line()


@pytest.mark.parametrize(
    ("loss", "reason"),
    [(math.nan, "its loss is nan"), (math.inf, "its loss is inf"), (7.5, "7.5, above 7")],
)
def test_a_loss_that_has_lost_its_way_names_the_batch_and_how_to_print_it(loss, reason):
    ledger = Ledger(limit=7.0)
    ledger.add("monolingual", 0, 6.9)
    message = rf"stopped at batch 31: .*{reason}; print .*--show-batch 31.*learning_rate"
    with pytest.raises(TrainingError, match=message):
        ledger.add("monolingual", 31, loss)


def test_a_gradient_that_is_no_number_names_the_batch():
    Ledger().check_gradient([5], 1e9)
    with pytest.raises(TrainingError, match="stopped at batch 5: the norm of its gradient is nan"):
        Ledger().check_gradient([5], math.nan)
    message = "stopped at batch 7: the norm of its gradient or one of the 2 before it is nan"
    with pytest.raises(TrainingError, match=message):
        Ledger().check_gradient([5, 6, 7], math.nan)
