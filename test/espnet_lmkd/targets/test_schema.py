import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from espnet_lmkd.targets.schema import KINDS, TARGETS, to_stored


@given(st.lists(st.floats(-30, 10), min_size=2, max_size=12), st.integers(1, 11))
def test_rest_mass_stays_positive(logits, top_k):
    logits = np.array(logits)
    log_probs = logits - np.logaddexp.reduce(logits)
    kept = np.sort(log_probs)[::-1][: min(top_k, len(logits) - 1)]
    stored = to_stored("teacher_topk_log_probs", kept[None])
    assert stored.dtype == np.float16
    assert np.exp(stored.astype(np.float64)).sum() < 1
    np.testing.assert_allclose(stored[0], kept, rtol=2e-3, atol=1e-6)


def test_kinds_name_targets():
    assert {name for names in KINDS.values() for name in names} == set(TARGETS)
