"""What ESPnet's asr.sh gives to --python in stages 10 to 14, in this process."""

import contextlib
import io
import json
import sys
from pathlib import Path

from espnet_lmkd.__main__ import main
from espnet_lmkd.data.directory import read_table, write_table

PYTHON = "python3 -m espnet_lmkd".split()
# In place of Kaldi's run.pl: ESPnet's launcher starts it, and it notes what it should.
RUN_PL = f"""#!{sys.executable}
import json, pathlib, sys
pathlib.Path(sys.argv[0]).with_suffix(".json").write_text(json.dumps(sys.argv[1:]))
"""
LINES = ("--non_linguistic_symbols", "none", "--cleaner", "none")


def python(*words, stdin=""):
    """Run what asr.sh would start as `${python} words`; return what it prints."""
    argv, printed = sys.argv, io.StringIO()
    sys.argv, sys.stdin = ["python3"], io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(printed):
            main([str(word) for word in words])
    finally:
        sys.argv, sys.stdin = argv, sys.__stdin__
    return printed.getvalue()


def split(folder, **scps):
    """Write the keys of up to two jobs, as split_scp.pl does; return the jobs."""
    tables = {name: list(read_table(scp).items()) for name, scp in scps.items()}
    jobs = range(1, min([2, *map(len, tables.values())]) + 1)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        for job in jobs:
            part = dict(sorted(rows[job - 1 :: len(jobs)]))
            write_table(folder / f"{name}.{job}.scp", part)
    return jobs


class AsrSh:
    """An experiment of a recipe whose folder is the current one.

    Args:
        config: --asr_config.
        train, valid, test: sets below dump/raw.
        tokens: folder with tokens.txt and bpe.model.
        best: criterion that names the model decoded with.
        asr_args: --asr_args.
        inference_args: --inference_args.
    """

    def __init__(
        self, config, train, valid, test, tokens, best, asr_args, inference_args
    ):
        self.asr_args, self.inference_args = asr_args, inference_args
        self.train_dir, self.valid_dir, self.test_dir = (
            Path("dump/raw", name) for name in (train, valid, test)
        )
        self.exp = Path("exp", f"asr_{Path(config).stem}")
        self.stats = Path("exp", f"asr_stats_{Path(config).stem}")
        self.decoded = self.exp / "decode_asr" / test
        self.model = self.exp / f"valid.{best}.ave.pth"
        self.bpe, self.tokens = f"{tokens}/bpe.model", f"{tokens}/tokens.txt"
        self.text = ("--use_preprocessor", "true", "--bpemodel", self.bpe)
        self.text += ("--token_type", "bpe", "--token_list", self.tokens, *LINES)
        self.text += ("--g2p", "none")
        self.own = ("--config", config, "--frontend_conf", "fs=16k")

    def _data(self, part):
        folder = getattr(self, f"{part}_dir")
        option = f"--{part}_data_path_and_name_and_type"
        speech = (option, f"{folder}/wav.scp,speech,sound")
        return speech + (option, f"{folder}/text,text,text")

    def _shapes(self, part, *names):
        option = f"--{part}_shape_file"
        return [w for name in names for w in (option, self.stats / part / name)]

    def collect_stats(self):
        """Stage 10."""
        logs = self.stats / "logdir"
        inputs = []
        train, valid = self.train_dir / "wav.scp", self.valid_dir / "wav.scp"
        for job in split(logs, train=train, valid=valid):
            shapes = []
            for part in ("train", "valid"):
                shapes += [f"--{part}_shape_file", logs / f"{part}.{job}.scp"]
            inputs += ["--input_dir", logs / f"stats.{job}"]
            python(
                *("-m", "espnet2.bin.asr_train", "--collect_stats", "true"),
                *(*self.text, *shapes, "--output_dir", inputs[-1], *self.own),
                *(*self._data("train"), *self._data("valid"), *self.asr_args),
            )
        aggregate = ("-m", "espnet2.bin.aggregate_stats_dirs", *inputs)
        python(*aggregate, "--output_dir", self.stats)
        vocabulary = len(Path(self.tokens).read_text("utf-8").splitlines())
        for part in ("train", "valid"):
            shape = self.stats / part / "text_shape"
            lines = [f"{x},{vocabulary}\n" for x in shape.read_text().splitlines()]
            Path(f"{shape}.bpe").write_text("".join(lines))

    def train(self):
        """Stage 11: through ESPnet's launcher."""
        run_pl = Path("run.pl").absolute()
        run_pl.write_text(RUN_PL)
        run_pl.chmod(0o755)
        log, shapes = self.exp / "train.log", ("speech_shape", "text_shape.bpe")
        python(
            *("-m", "espnet2.bin.launch", "--cmd", f"{run_pl} --name {log}"),
            *("--log", log, "--ngpu", "0", "--num_nodes", "1", "--init_file_prefix"),
            *(self.exp / ".dist_init_", "--multiprocessing_distributed", "true", "--"),
            *(*PYTHON, "-m", "espnet2.bin.asr_train", *self.text),
            *(*self._data("valid"), *self._shapes("valid", *shapes)),
            *("--resume", "true", "--ignore_init_mismatch", "false"),
            *("--fold_length", "80000", "--output_dir", self.exp, *self.own),
            *("--normalize=global_mvn", "--normalize_conf"),
            *(f"stats_file={self.stats}/train/feats_stats.npz",),
            *(*self._data("train"), *self._shapes("train", *shapes)),
            *("--fold_length", "150", *self.asr_args),
        )
        launched = json.loads(run_pl.with_suffix(".json").read_text())
        start = launched.index(str(log), 2) + 1
        assert launched[start : start + 3] == PYTHON
        python(*launched[start + 3 :])

    def decode(self):
        """Stage 12."""
        logs = self.decoded / "logdir"
        jobs = split(logs, keys=self.test_dir / "wav.scp")
        for job in jobs:
            python(
                *("-m", "espnet2.bin.asr_inference", "--batch_size", "1"),
                *("--ngpu", "0", "--data_path_and_name_and_type"),
                *(f"{self.test_dir}/wav.scp,speech,sound", "--key_file"),
                *(logs / f"keys.{job}.scp", "--asr_train_config"),
                *(self.exp / "config.yaml", "--asr_model_file", self.model),
                *("--output_dir", logs / f"output.{job}", *self.inference_args),
            )
        parts = [logs / f"output.{job}/1best_recog/text" for job in jobs]
        (self.decoded / "text").write_text("".join(x.read_text() for x in parts))

    def score(self):
        """Stage 13 without sclite; return the lines of references and guesses."""
        found = {}
        for kind in ("char", "word", "bpe"):
            options = LINES[:2] + ("--remove_non_linguistic_symbols", "true")
            options = ("--bpemodel", self.bpe) if kind == "bpe" else options
            for text in (self.test_dir / "text", self.decoded / "text"):
                printed = python(
                    *("-m", "espnet2.bin.tokenize_text", "-f", "2-", "--input", "-"),
                    *("--output", "-", "--token_type", kind, *options),
                    stdin=text.read_text("utf-8"),
                )
                found.setdefault(kind, []).append(printed.splitlines())
        return found

    def pack(self):
        """Stage 14; return the archive."""
        packed = self.exp / f"{self.exp.name}_{self.model.stem}.zip"
        (self.exp / "RESULTS.md").write_text("# RESULTS\n")
        python(
            *("-m", "espnet2.bin.pack", "asr", "--asr_train_config"),
            *(self.exp / "config.yaml", "--asr_model_file", self.model),
            *("--option", self.stats / "train/feats_stats.npz"),
            *("--option", self.bpe, "--option", self.exp / "RESULTS.md"),
            *("--option", self.exp / "images", "--outpath", packed),
        )
        return packed
