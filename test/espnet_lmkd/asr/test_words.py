import pytest

from espnet_lmkd.asr.words import Timed, WordJoiner

SPECIAL = ["<blank>", "<unk>", "<sos/eos>"]
PIECES = [*SPECIAL, "▁a", "▁", "b", "c", "▁我们", "大家", "▁x"]
CHARACTERS = [*SPECIAL, "<space>", "a", "b", "c", "我", "你", "好"]
MANDARIN = [*SPECIAL, "我", "你", "好"]
WORD_PIECES = [*SPECIAL, "play", "##ing", "##ed", "don", "'", "t", "#", "我", "##我"]
BYTES = [*SPECIAL, "Ġa", "b", "Ġc", "##"]


@pytest.mark.parametrize(
    "token_list, tokens, words",
    [
        (PIECES, "▁a ▁ b c", [("a", 0, 1), ("bc", 2, 4)]),
        (PIECES, "b c", [("bc", 0, 2)]),
        (PIECES, "▁我们 大家 b c", [("我们", 0, 1), ("大家", 1, 2), ("bc", 2, 4)]),
        (CHARACTERS, "a b <space> c", [("ab", 0, 2), ("c", 3, 4)]),
        (CHARACTERS, "<space> a", [("a", 1, 2)]),
        (CHARACTERS, "a b c", [("abc", 0, 3)]),  # one word
        (CHARACTERS, "你 好 <space> 我", [("你", 0, 1), ("好", 1, 2), ("我", 3, 4)]),
        (CHARACTERS, "我 a b 你", [("我", 0, 1), ("ab", 1, 3), ("你", 3, 4)]),
        (MANDARIN, "你 好", [("你", 0, 1), ("好", 1, 2)]),
        (WORD_PIECES, "play ##ing play", [("playing", 0, 2), ("play", 2, 3)]),
        (WORD_PIECES, "don ' t play", [("don't", 0, 3), ("play", 3, 4)]),
        (WORD_PIECES, "我 我", [("我", 0, 1), ("我", 1, 2)]),
        (BYTES, "Ġa b Ġc", [("ab", 0, 2), ("c", 2, 3)]),
        (PIECES, "", []),
    ],
)
def test_the_token_list_decides(token_list, tokens, words):
    timed = [Timed(text, i, i + 1) for i, text in enumerate(tokens.split())]
    assert WordJoiner(token_list)(timed) == [Timed(*word) for word in words]
