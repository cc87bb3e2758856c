"""The command line: one file per verb. Asking for help imports neither torch nor any verb."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

from hyperplane import __version__, discovery
from hyperplane.errors import UserError, nearest

GIVEN_UP, UNEXPECTED, STOPPED = 2, 1, 130
"""Exit statuses: something for the user to put right, a fault of ours, Ctrl-C."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status; every error is one line, and a traceback only with --debug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        return _run(arguments)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return STOPPED
    except (UserError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {' '.join(_told(error).split())}", file=sys.stderr)
        return GIVEN_UP
    except Exception as error:
        if debug:
            traceback.print_exc()
        told = " ".join(str(error).split())[:300]
        if isinstance(error, MemoryError) or "allocate memory" in told or "out of memory" in told.lower():
            print(
                f"error: memory: found too little ({told}); choose a smaller net or a smaller --batch", file=sys.stderr
            )
            return GIVEN_UP
        print(
            f"fault in hyperplane: {type(error).__name__}: {told}; add --debug and report what it says", file=sys.stderr
        )
        return UNEXPECTED


def _told(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; choose another path, or make this one usable"
    return str(error)


def _run(arguments: list[str]) -> int:
    verbs = discovery.entries("cli")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(verbs))
        return 0
    if arguments[0] == "--version":
        print(f"hyperplane {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in verbs:
        raise UserError(f"hyperplane: has no verb '{verb}'; {nearest(verb, verbs)} (hyperplane --help)")
    return import_module(verbs[verb].module).main(rest)


def _help(verbs: dict[str, discovery.Entry]) -> str:
    width = max(map(len, verbs)) + 2
    lines = [
        "hyperplane: from data to a net that is trained, measured and understood.",
        "",
        "  hyperplane train digits              learn to read 1,797 handwritten digits, into runs/digits",
        "  hyperplane train table.csv           learn a table's column named target, label, class or y",
        "  hyperplane train photos/ --net lenet learn a folder of pictures, one folder per class",
        "  hyperplane train book.txt            learn to write like a text; then: hyperplane generate runs/book",
        "",
        "verbs (hyperplane VERB --help):",
        *(f"  {name:{width}}{entry.summary.rstrip('.')}" for name, entry in verbs.items()),
        "",
        "--debug shows the traceback of an error.",
    ]
    return "\n".join(lines)
