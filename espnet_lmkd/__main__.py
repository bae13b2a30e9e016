"""python3 -m espnet_lmkd -m espnet2.bin.asr_train ...: plug into any egs2 recipe.

Give it to ESPnet's asr.sh as `--python "python3 -m espnet_lmkd"`. Commands that
build a recogniser see this pack's classes; everything else passes through.
"""

import runpy
import subprocess
import sys

USAGE = "usage: python3 -m espnet_lmkd (-m MODULE | SCRIPT) [ARGUMENTS]"


def main(cmd=None):
    """Run a module or a script as `python3` would, with this pack registered."""
    cmd = sys.argv[1:] if cmd is None else list(cmd)
    if not cmd or cmd[0] in ("-h", "--help"):
        print(USAGE + "\n\n" + __doc__)
        return
    if cmd[0] != "-m" or len(cmd) < 2:
        sys.exit(subprocess.call([sys.executable, *cmd]))
    module, arguments = cmd[1], cmd[2:]
    if module == "espnet2.bin.asr_train":
        module = "espnet_lmkd.bin.asr_kd_train"
    elif module == "espnet2.bin.asr_inference_streaming":
        module = "espnet_lmkd.bin.espnet_asr_inference_streaming"
    elif module.startswith("espnet2.bin.asr_"):
        import espnet_lmkd.asr.task  # noqa: F401  registers the classes
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
