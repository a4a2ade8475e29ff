"""Two texts as one sequence, and which of its tokens are to be found."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from isoglot.config.schema import ModelConfig
from isoglot.models.loading import load_encoder
from isoglot.training.inputs.masking import Masking, PairTemplate, mask_tokens, wanted_counts
from isoglot.training.inputs.ragged import Ragged

MASK = 99
TEXTS = ("Warum geht Brotteig auf?", "Kwa nini unga unaumuka?")


UNKNOWN = 3


def masking(share=0.15):
    return Masking(share, MASK, np.arange(100, 200))


def ragged(lengths):
    lengths = np.array(lengths)
    return Ragged((100 + np.arange(lengths.sum()) % 100).astype(np.int32), lengths)


def test_counts_on_paper():
    # 15 % of 20 are 3; of 24, 3.6, which is nearer to 4; of 3, 0.45, but one at least; of none,
    # none. 90 % of 2 are 1.8: both.
    assert wanted_counts(np.array([20, 24, 3, 1, 0]), 0.15).tolist() == [3, 4, 1, 1, 0]
    assert wanted_counts(np.array([2]), 0.9).tolist() == [2]


def test_as_many_tokens_of_each_pair_are_to_be_found():
    pairs = ragged([20, 0, 24, 3])
    _, chosen = mask_tokens(np.random.default_rng(0), pairs, masking())
    of_pair = np.split(chosen, np.cumsum(pairs.lengths)[:-1])
    assert [int(part.sum()) for part in of_pair] == [3, 0, 4, 1]


def test_what_is_not_to_be_found_is_seen_as_it_is():
    pairs = ragged([50] * 20)
    seen, chosen = mask_tokens(np.random.default_rng(0), pairs, masking())
    assert np.array_equal(seen[~chosen], pairs.ids[~chosen])


def test_eighty_ten_ten():
    pairs = ragged([100] * 400)
    seen, chosen = mask_tokens(np.random.default_rng(0), pairs, masking())
    assert chosen.sum() == 400 * 15
    masked = seen[chosen] == MASK
    kept = seen[chosen] == pairs.ids[chosen]
    changed = seen[chosen][~masked & ~kept]
    assert masked.mean() == pytest.approx(0.8, abs=0.02)
    assert kept.mean() == pytest.approx(0.1, abs=0.02)
    assert set(changed) == set(range(100, 200))  # ordinary tokens only, and every one of them


def test_special_tokens_are_neither_counted_nor_looked_for():
    # Of 30 tokens 20 are ordinary, and 15 % of these are 3; of the other pair none is.
    pairs = Ragged(np.array([100, UNKNOWN, 101] * 10 + [UNKNOWN] * 5), np.array([30, 5]))
    seen, chosen = mask_tokens(np.random.default_rng(0), pairs, masking())
    assert chosen.sum() == chosen[:30].sum() == 3
    assert not (pairs.ids[chosen] == UNKNOWN).any()
    assert (seen[pairs.ids == UNKNOWN] == UNKNOWN).all()


def test_every_place_is_chosen_alike():
    counts = np.zeros(10)
    rng = np.random.default_rng(0)
    for _ in range(200):
        _, chosen = mask_tokens(rng, ragged([10] * 10), masking(0.3))
        counts += chosen.reshape(10, 10).sum(axis=0)
    assert counts / 2000 == pytest.approx(np.full(10, 0.3), abs=0.04)


def test_the_same_numbers_mask_the_same_tokens():
    one, again, other = (
        mask_tokens(np.random.default_rng(seed), ragged([40] * 4), masking()) for seed in (5, 5, 6)
    )
    assert np.array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("layout", ["xlm-r", "labse"])
def test_pairs_are_joined_as_the_tokenizer_joins_them(checkpoints, layout):
    tokenizer = load_encoder(ModelConfig(name=str(checkpoints[layout])), device="cpu").tokenizer
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    template = PairTemplate.of(backend)
    ids = [np.array(backend.encode(text, add_special_tokens=False).ids) for text in TEXTS]
    joined, segments, is_text = template.join(*ids)
    wanted = tokenizer(*TEXTS, return_token_type_ids=True, return_special_tokens_mask=True)
    assert joined.tolist() == wanted["input_ids"]
    assert (~is_text).astype(int).tolist() == wanted["special_tokens_mask"]
    assert template.specials == sum(wanted["special_tokens_mask"])
    assert segments.tolist() == wanted["token_type_ids"]
    assert max(segments) == (1 if layout == "labse" else 0)


def test_an_empty_text_leaves_the_special_tokens(checkpoints):
    tokenizer = load_encoder(ModelConfig(name=str(checkpoints["labse"])), device="cpu").tokenizer
    template = PairTemplate.of(tokenizer.backend_tokenizer)
    nothing = np.zeros(0, dtype=np.int64)
    ids, _, is_text = template.join(nothing, nothing)
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "[SEP]", "[SEP]"]
    assert not is_text.any()


def test_a_tokenizer_that_puts_nothing_between_texts(checkpoints):
    tokenizer = Tokenizer.from_file(str(checkpoints["static"] / "tokenizer.json"))
    assert PairTemplate.of(tokenizer) == PairTemplate((), (), (), (0,) * 5)
