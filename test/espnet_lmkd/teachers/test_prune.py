import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertTokenizer

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.prune import prune_vocabulary

PIECES = "the quick brown un ##known ##ly fox dog ##s ##ab [unused0] zebra".split()
LETTERS = [f"{prefix}{c}" for c in "abdefgiklnostuwxyz日" for prefix in ("", "##")]
NAMES = [
    *("[unused1]", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *dict.fromkeys([*PIECES, *LETTERS]),
]
TEXT = ["THE QUICK FOXS", "the unknown dogs", "the tab"]


@pytest.fixture
def full():
    torch.manual_seed(0)
    tokenizer = BertTokenizer(vocab={name: i for i, name in enumerate(NAMES)})
    config = BertConfig(
        vocab_size=len(NAMES),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.3,
        pad_token_id=1,
    )
    model = BertForMaskedLM(config).eval()
    torch.nn.init.normal_(model.cls.predictions.bias)
    return model, tokenizer


def test_keeps_tokenization_and_logits(full, tmp_path):
    model, tokenizer = full
    small, small_tokenizer = prune_vocabulary(model, tokenizer, TEXT)
    small.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    small = BertForMaskedLM.from_pretrained(tmp_path).eval()
    small_tokenizer = AutoTokenizer.from_pretrained(tmp_path)

    names = small_tokenizer.convert_ids_to_tokens(range(len(small_tokenizer)))
    assert names[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert small.config.vocab_size == len(names) < len(NAMES)
    assert not {"zebra", "brown", "[unused0]", "z", "日"} & set(names)
    assert {"the", "##known", "q", "##q"} - set(names) == {"q", "##q"}, "as in full"
    kept = [NAMES.index(name) for name in names]
    for sentence in [*TEXT, "fox the unknowns toad"]:
        assert small_tokenizer.tokenize(sentence) == tokenizer.tokenize(sentence)
        inputs = tokenizer(sentence, return_tensors="pt")
        with torch.no_grad():
            expected = model(**inputs).logits[..., kept]
            ours = small(**small_tokenizer(sentence, return_tensors="pt")).logits
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_head_stays_tied(full):
    small, _ = prune_vocabulary(*full, TEXT)
    head, table = small.get_output_embeddings(), small.get_input_embeddings()
    assert head.weight.data_ptr() == table.weight.data_ptr()


def test_only_wordpiece(make_teacher):
    teacher = make_teacher()
    with pytest.raises(InputError, match="WordLevel, only WordPiece"):
        prune_vocabulary(teacher.model, teacher.tokenizer, ["a b"])
