"""Errors a user can act on: one sentence on stderr and exit code 1, no traceback."""

import functools
import os
import sys


class InputError(Exception):
    """Something given is wrong: says what was wanted, what came and the remedy."""


def first_sentence(error: Exception) -> str:
    """Return what a library's error begins with, on one line.

    Example:
        >>> first_sentence(OSError("It is\\n not there. See the manual."))
        'It is not there'
    """
    return " ".join(str(error).split()).split(". ")[0].rstrip(".")


def exits_cleanly(main):
    """Turn an `InputError` of a command's main into one sentence and exit code 1.

    A relative path that leads nowhere, too: those of an experiment's config.yaml are of
    its recipe's directory.

    Example:
        >>> @exits_cleanly
        ... def main(cmd=None):
        ...     raise InputError("text:3: utterance 'a' has no words; remove the line")
    """

    @functools.wraps(main)
    def wrapper(cmd=None):
        try:
            return main(cmd)
        except InputError as error:
            message = str(error)
        except FileNotFoundError as error:
            if error.filename is None or os.path.isabs(error.filename):
                raise
            message = (
                f"{error.filename}: no such file in {os.getcwd()}; run the command in"
                " the recipe's directory, where the paths of config.yaml begin"
            )
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)

    return wrapper
