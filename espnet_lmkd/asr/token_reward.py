"""A reward of each token for ESPnet's transducer searches, which have none."""

from espnet_lmkd.asr.search import SearchOptions


class RewardingLM:
    """A language model for `BeamSearchTransducer`, its scores raised by a reward.

    With shallow fusion each token costs another log-probability, and texts become too
    short; as the search multiplies what it is told by `lm_weight`, it is told

    log P_LM(y) + penalty / lm_weight

    Only as many tokens as there are frames are rewarded: the `default` search has no
    limit of its own and would not end where a token gains more than it costs.

    Args:
        lm: ESPnet's language model.
    """

    def __init__(self, lm):
        self.lm, self.reward, self.num_frames = lm, 0.0, 0

    def score(self, tokens, *args):
        """Return the raised scores (V,) of what follows (n,) from sos, and a state."""
        scores, state = self.lm.score(tokens, *args)
        return scores + (self.reward if len(tokens) <= self.num_frames else 0.0), state

    def batch_score(self, *args):
        """Return the raised scores (N, V) of next tokens, and the states.

        The searches that ask for several limit the tokens themselves.
        """
        scores, states = self.lm.batch_score(*args)
        return scores + self.reward, states

    def zero_state(self):
        """Return the state before the first token."""
        return self.lm.zero_state()


def set_transducer_weights(search, options: SearchOptions):
    """Let a `BeamSearchTransducer` weigh its language model and reward tokens.

    Args:
        search: made with a language model.
        options: `lm_weight`, and `penalty` for which it must not be 0.

    Returns:
        The language model.
    """
    search.lm_weight = options.lm_weight
    rewards = isinstance(search.lm, RewardingLM)
    # ESPnet leaves the dropout of a transducer's language model on.
    lm = (search.lm.lm if rewards else search.lm).eval()
    if options.penalty and not rewards:
        search.lm = RewardingLM(lm)
        search.search_algorithm = _counting(search.lm, search.search_algorithm)
    if options.penalty:
        search.lm.reward = options.penalty / options.lm_weight
    elif rewards:
        search.lm.reward = 0.0
    return lm


def _counting(lm: RewardingLM, search):
    def count(encoder_out):
        lm.num_frames = len(encoder_out)
        return search(encoder_out)

    return count
