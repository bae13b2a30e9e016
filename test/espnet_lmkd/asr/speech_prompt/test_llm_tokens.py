"""The token list of a language model, as ESPnet and this pack read it."""

import pytest
from tiny_llm import SENTENCES, save_tokenizer

from espnet_lmkd.asr.speech_prompt.llm_tokens import write_llm_tokens
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.vocabulary import read_token_list


def test_list_agrees_with_the_tokenizer(tmp_path):
    from espnet2.text.build_tokenizer import build_tokenizer
    from espnet2.text.hugging_face_token_id_converter import HuggingFaceTokenIDConverter

    tokenizer = save_tokenizer(tmp_path / "lm")
    record = write_llm_tokens(tmp_path / "lm", tmp_path / "out")
    assert record == {
        "num_tokens": len(tokenizer),
        "sym_blank": "<|endoftext|>",
        "sym_sos": "<|im_start|>",
        "sym_eos": "<|im_end|>",
    }
    path = tmp_path / "out" / "tokens.txt"
    tokens = read_token_list(path)
    assert tokens[:4] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<id:3>"]
    assert [line.rstrip() for line in path.open(encoding="utf-8")] == tokens
    espnet = build_tokenizer("hugging_face", bpemodel=str(tmp_path / "out"))
    converter = HuggingFaceTokenIDConverter(str(tmp_path / "out"))
    for sentence in SENTENCES:
        pieces = espnet.text2tokens(sentence)
        ids = converter.tokens2ids(pieces)
        assert [tokens[i] for i in ids] == pieces
        assert espnet.tokens2text(pieces) == sentence


def test_no_such_tokenizer(tmp_path):
    with pytest.raises(InputError, match="neither a folder nor an id"):
        write_llm_tokens(tmp_path, tmp_path / "out")
