# shellcheck shell=bash
# Where jobs run: on this machine, or on a cluster through Kaldi's or ESPnet's queue.pl,
# slurm.pl or pbs.pl, which take the same command line.
cmd_backend=${cmd_backend:-local}

if [ "${cmd_backend}" = local ]; then
    export train_cmd="scripts/run_jobs.sh"  # CPU jobs
    export cuda_cmd="scripts/run_jobs.sh"   # training, decoding on GPU
elif [ "${cmd_backend}" = slurm ]; then
    export train_cmd="slurm.pl"
    export cuda_cmd="slurm.pl"
elif [ "${cmd_backend}" = queue ]; then
    export train_cmd="queue.pl"
    export cuda_cmd="queue.pl"
else
    echo "cmd.sh: cmd_backend is one of local, slurm, queue; got '${cmd_backend}'" >&2
    return 1
fi
