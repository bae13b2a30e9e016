# shellcheck shell=bash
# The LibriSpeech folder with train-clean-5 and test-clean-a or dev-clean-2; empty: OpenSLR 31 is downloaded.
export MINI_LIBRISPEECH=${MINI_LIBRISPEECH:-${LMKD_DATA:+${LMKD_DATA}/mini_librispeech/LibriSpeech}}
# Text for language models, one sentence a line (.gz is read too), for instance
# librispeech-lm-norm.txt.gz of OpenSLR 11; empty: the training transcripts alone.
export LIBRISPEECH_LM_TEXT=${LIBRISPEECH_LM_TEXT:-${LMKD_DATA:+${LMKD_DATA}/librispeech_text/lm_text.txt}}
