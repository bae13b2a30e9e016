# shellcheck shell=bash
# The LibriSpeech folder of OpenSLR 12.
export LIBRISPEECH=${LIBRISPEECH:-}
# Text for language models, one sentence a line: librispeech-lm-norm.txt.gz of OpenSLR 11, or a part of it;
# empty: the training transcripts alone.
export LIBRISPEECH_LM_TEXT=${LIBRISPEECH_LM_TEXT:-}
