import pytest

from espnet_lmkd.teachers.batches import batches_of, pad


def test_batches_keep_order_and_budget():
    lengths = [1, 3, 2, 9, 1, 1]
    batches = list(batches_of(range(6), lengths, 10))
    assert [item for batch in batches for item in batch] == list(range(6))
    for batch in batches:
        size = len(batch) * (max(lengths[item] for item in batch) + 2)
        assert size <= 10 or len(batch) == 1


@pytest.mark.parametrize("prefix, suffix", [([], []), ([8], []), ([8], [9, 9])])
def test_pad(prefix, suffix):
    sentences = [(1, 2, 3), (4,), (5, 6)]
    inputs = pad(sentences, prefix, suffix, 7, "cpu")
    rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist())
    for sentence, (ids, mask) in zip(sentences, rows, strict=True):
        length = sum(mask)
        assert mask == sorted(mask, reverse=True)
        assert ids[:length] == [*prefix, *sentence, *suffix]
        assert set(ids[length:]) <= {7}
