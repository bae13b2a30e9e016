"""Recognition with a speech-prompted language model: in batches against one by one.

    python3 benchmarks/speech_prompt.py  # ten minutes on one busy core

A Llama and a Whisper encoder of random weights, by default of the sizes of SmolLM2-135M
and of base.en, greedy search, as many tokens an utterance as the limits allow (4 a
second and 20), a prompt of 12.5 vectors a second. Utterances are encoded one by one in
every row. Time is CPU seconds of this process, the median of interleaved rounds; on
CUDA the clock's.
"""

import argparse
import statistics
import time

import torch
from tqdm import trange
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from espnet_lmkd.asr.pretrained_speech import SAMPLE_RATE, PretrainedSpeech
from espnet_lmkd.asr.speech_prompt.causal_lm import lm_config
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.asr.speech_prompt.generation import Limits, generate
from espnet_lmkd.padded import Padded

NEVER = -1  # an end of the sequence that no token is
LIMITS = Limits(longest_ngram=0)  # random weights loop, and are to go on


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument(
        "--heads", type=int, nargs=2, default=[9, 3], help="and of keys"
    )
    parser.add_argument("--vocab_size", type=int, default=49152)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--utterances", type=int, default=16)
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--beam_size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    return parser


def make_decoder(args):
    config = LlamaConfig(
        vocab_size=args.vocab_size,
        hidden_size=args.width,
        intermediate_size=args.width * 8 // 3,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads[0],
        num_key_value_heads=args.heads[1],
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        described = LlamaForCausalLM(config)
    conf = {"lm": lm_config(described), "begin": 1, "instruction": []}
    decoder = SpeechPromptDecoder(
        args.vocab_size, 512, config=conf, lm_dtype=args.dtype
    )
    return decoder.to(args.device).eval()


@torch.inference_mode()
def one_by_one_with_transformers(decoder, frames, seconds):
    """What the model's own `generate` does with the same prompts; the tokens."""
    found = []
    for states, length in zip(frames, seconds):
        longest = LIMITS.max_tokens(length)
        conf = GenerationConfig(
            max_new_tokens=longest, min_new_tokens=longest, do_sample=False
        )
        ids = [decoder.prompt_config.begin]
        embed = decoder.lm.embed
        lengths = torch.tensor([len(states)], device=states.device)
        speech = decoder.bridge(Padded(states[None], lengths)).data[0]
        begin, sos = (embed(torch.tensor(i, device=states.device)) for i in (ids, [1]))
        prompt = torch.cat([begin, speech.to(begin.dtype), sos])[None]
        mask = torch.ones(prompt.shape[:2], dtype=torch.long, device=states.device)
        out = decoder.lm.model.generate(
            inputs_embeds=prompt, attention_mask=mask, generation_config=conf
        )
        found.append(out[0].tolist())
    return found


def in_batches(size):
    """Return a function that decodes so many utterances at once."""

    def run(decoder, frames, seconds, beam_size):
        order = sorted(range(len(seconds)), key=seconds.__getitem__)
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        found = {}
        for group in groups:
            states = [frames[i] for i in group]
            durations = [seconds[i] for i in group]
            texts = generate(
                decoder, states, durations, 1, NEVER, beam_size, limits=LIMITS
            )
            found.update(zip(group, (hyp.tokens for hyp in texts)))
        return [found[i] for i in sorted(found)]

    return run


def seconds_of(function, device):
    on_cuda = torch.device(device).type == "cuda"
    clock = time.perf_counter if on_cuda else time.process_time
    if on_cuda:
        torch.cuda.synchronize()
    started = clock()
    result = function()
    if on_cuda:
        torch.cuda.synchronize()
    return clock() - started, result


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    decoder = make_decoder(args)
    config = WhisperConfig(
        d_model=512, encoder_layers=6, encoder_attention_heads=8, encoder_ffn_dim=2048
    )
    encoder = PretrainedSpeech(WhisperEncoder(config), False).to(args.device).eval()
    seconds = torch.linspace(2, 8, args.utterances).tolist()
    waves = [torch.randn(int(s * SAMPLE_RATE), device=args.device) for s in seconds]

    @torch.inference_mode()
    def encode():
        lengths = [torch.tensor([len(wave)], device=args.device) for wave in waves]
        return [encoder(w[None], n)[0][-1][0] for w, n in zip(waves, lengths)]

    beam_size = args.beam_size
    rows = {}
    if beam_size == 1:
        rows["transformers, one by one"] = lambda: one_by_one_with_transformers(
            decoder, frames, seconds
        )
    for size in [1, *args.batches]:
        rows[f"ours, {size} at once"] = lambda run=in_batches(size): run(
            decoder, frames, seconds, beam_size
        )
    frames = [x.clone() for x in encode()]
    spent = {name: [] for name in ("encoder", *rows)}
    texts = {}
    for _ in trange(args.rounds):
        spent["encoder"].append(seconds_of(encode, args.device)[0])
        for name, row in rows.items():
            taken, texts[name] = seconds_of(row, args.device)
            spent[name].append(taken)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    number = sum(map(LIMITS.max_tokens, seconds))
    first = medians["ours, 1 at once"]
    whole = first + medians["encoder"]
    print(
        f"\n{len(seconds)} utterances, {sum(seconds):.0f} s, {number} tokens, beam"
        f" {beam_size}, {args.dtype} ({args.device}),"
        f" encoder {medians['encoder']:.2f} s"
    )
    print("| LM | s | tokens a second | ratio | end to end, ratio | same tokens |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in rows:
        same = sum(a == b for a, b in zip(texts[name], texts["ours, 1 at once"]))
        total = medians[name] + medians["encoder"]
        print(
            f"| {name} | {medians[name]:.2f} | {number / medians[name]:.1f} |"
            f" {first / medians[name]:.2f} | {whole / total:.2f} |"
            f" {same} of {len(seconds)} |"
        )


if __name__ == "__main__":
    main()
