# shellcheck shell=bash
# The an4 folder with etc/ and wav/; empty: it is downloaded from CMU.
export AN4=${AN4:-${LMKD_DATA:+${LMKD_DATA}/an4}}
