"""The tokens of a language model as ESPnet's token list."""

from pathlib import Path
from typing import Any, Dict

from espnet_lmkd.data.directory import write_lines
from espnet_lmkd.teachers.pretrained import load_tokenizer


def write_llm_tokens(source, out, revision=None) -> Dict[str, Any]:
    """Write the tokenizer of an LM and `tokens.txt`, its vocabulary in order of ids.

    ESPnet takes the ids from the tokenizer itself; the list says how many there are and
    where `sym_blank`, `sym_sos` and `sym_eos` of `model_conf` lie. A token that no line
    can hold, such as several spaces, or an id without one is listed as <id:number>.

    Args:
        source: folder, or id on the Hugging Face hub.
        out: folder to write, for `bpemodel` and `token_list`.
        revision: branch, tag or commit on the hub.

    Returns:
        How many tokens there are, and those of `model_conf`: `sym_blank` is the one of
        id 0, which ESPnet's CTC takes for blank; `sym_sos` begins a sequence, where the
        LM has such a token; `sym_eos` ends it. Beside CTC choose an end of another id.

    Raises:
        InputError: there is no such tokenizer, or it has no end-of-sequence token.
    """
    tokenizer = load_tokenizer(source, revision)
    by_id = {index: token for token, index in tokenizer.get_vocab().items()}
    tokens = [by_id.get(index, "") for index in range(max(by_id) + 1)]
    tokens = [
        token if len(token.split()) == 1 and token == token.strip() else f"<id:{index}>"
        for index, token in enumerate(tokens)
    ]
    tokenizer.save_pretrained(out)
    write_lines(Path(out, "tokens.txt"), tokens)
    return {
        "num_tokens": len(tokens),
        "sym_blank": tokens[0],
        "sym_sos": tokenizer.bos_token or tokenizer.eos_token,
        "sym_eos": tokenizer.eos_token,
    }
