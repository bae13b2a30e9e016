# shellcheck shell=bash
# The data_aishell folder with wav/ and transcript/; empty: OpenSLR 33 (15 GB) is downloaded.
export AISHELL=${AISHELL:-${LMKD_DATA:+${LMKD_DATA}/aishell_sample/data_aishell}}
# Text for language models, one sentence a line; empty: the training transcripts alone.
export AISHELL_LM_TEXT=${AISHELL_LM_TEXT:-}
