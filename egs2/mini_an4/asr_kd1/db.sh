# shellcheck shell=bash
# ESPnet's downloads.tar.gz of egs2/mini_an4, its folder, or a wheel of espnet that holds it;
# empty: local/data.sh looks in an ESPnet checkout around this one and in the installed espnet.
export MINI_AN4=${MINI_AN4:-${LMKD_DATA:+${LMKD_DATA}/mini_an4}}
