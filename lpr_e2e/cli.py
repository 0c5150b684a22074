"""The command `lpr-e2e`: which commands there are, and what becomes of their errors.

A command is a module of `lpr_e2e.commands` with `add_arguments(parser)` and `run(options)`, which returns the exit
code. Its module is imported when the command is called, and imports what it works with when it runs: help, completion
and complaints about a wrong call must not wait for TensorFlow.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import functools
import importlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from lpr_e2e import __version__
from lpr_e2e.common.cores import use_threads
from lpr_e2e.common.errors import UnwrittenError, UserError, in_words
from lpr_e2e.common.extras import remedy
from lpr_e2e.common.interrupts import as_interrupt, as_process, noticed
from lpr_e2e.common.terminal import OutputError, complain

# By name: the module, and one line of help.
COMMANDS = {
    "train": ("lpr_e2e.commands.train", "train a reader on your photographs and crops, or on a drawn demo set"),
    "average": ("lpr_e2e.commands.average", "make one model of several trainings"),
    "predict": ("lpr_e2e.commands.predict", "read the licence plates on photographs"),
    "video": ("lpr_e2e.commands.video", "read the plates of a clip, a camera or a stream"),
    "check": ("lpr_e2e.commands.check", "what is in a data folder, and what is wrong with it"),
    "loop": ("lpr_e2e.commands.loop", "label some photographs and train on them, round after round"),
    "label": ("lpr_e2e.commands.label", "label photographs on a page, with what a model reads filled in"),
    "draw": ("lpr_e2e.commands.draw", "draw a data set of photographs and crops"),
    "import": ("lpr_e2e.commands.import_data", "turn labels in another form into a data folder"),
    "export-labels": ("lpr_e2e.commands.export_labels", "write labels of any form as COCO files"),
    "export": ("lpr_e2e.commands.export", "write a model in the forms of other runtimes"),
    "evaluate": ("lpr_e2e.commands.evaluate", "score readings against known plates"),
    "robustness": ("lpr_e2e.commands.robustness", "how a model copes with turned, blurred and covered plates"),
    "ablation": ("lpr_e2e.commands.ablation", "what each part of the training is worth"),
    "curve": ("lpr_e2e.commands.curve", "how many photographs it takes: trainings on few, and on more"),
    "sweep": ("lpr_e2e.commands.sweep", "try settings of the training out"),
    "benchmark": ("lpr_e2e.commands.benchmark", "how fast reading and training are"),
    "batch": ("lpr_e2e.commands.batch", "read any number of photographs with Apache Beam"),
    "serve": ("lpr_e2e.commands.serve", "read photographs that come over HTTP"),
    "models": ("lpr_e2e.commands.models", "list the weights that come with the project"),
}
SHELLS = ("bash", "zsh", "tcsh")

# How a command is called: installed, from the package, and by the scripts at the top of a checkout.
INSTALLED, MODULE, SCRIPT = "lpr-e2e {}", "python -m lpr_e2e {}", "python {}.py"
SCRIPTS = ("train", "predict")

UNWRITTEN, WRONG_INPUT, INTERRUPTED = 1, 2, 130
_CLOSED_PIPE = 141  # As a shell reports a program that a closed pipe has ended.
_DIRECTORIES = ("DIR", "FOLDER")  # Names of arguments, in help, that only folders can be given for.


def main(arguments: Sequence[str] | None = None, spelling: str = INSTALLED) -> int:
    """The command line.

    Args:
        arguments: without the program's name; those of this process if None.
        spelling: how a command is called, `{}` being its name, so that it can name others as they can be called.

    Returns:
        the exit code: 0, what else the command returns, 2 for wrong input, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments and arguments[0] in COMMANDS:
        return run_command(arguments[0], arguments[1:], spelling)
    parser = _parser(spelling.format("").strip())
    if arguments and not arguments[0].startswith("-"):
        near = difflib.get_close_matches(arguments[0], COMMANDS, 1)
        parser.error(f"{arguments[0]}: no such command" + (f"; did you mean {near[0]}?" if near else ""))
    options = parser.parse_args(arguments)
    if options.print_completion:
        return _print_completion(options.print_completion)
    parser.print_help(sys.stderr)
    return WRONG_INPUT


def entry() -> NoReturn:
    """The command `lpr-e2e` as it is installed."""
    as_process(main)


def script(name: str, arguments: Sequence[str] | None = None) -> int:
    """The command line of `NAME.py` at the top of a checkout, which is the command of that name."""
    return run_command(name, sys.argv[1:] if arguments is None else arguments, SCRIPT)


def spelled(name: str, spelling: str) -> str:
    """How a command is called by somebody who called another one so; there is a script of two of them only."""
    return (MODULE if spelling == SCRIPT and name not in SCRIPTS else spelling).format(name)


def run_command(name: str, arguments: Sequence[str], spelling: str = INSTALLED) -> int:
    """Run one command; an error of the user's becomes one line and the exit code 2. See `main`.

    Asked to end, it returns 130 for Ctrl-C, and what shells report for other signals.

    The command's options get two more: `called`, what its messages begin with, and `spelled`, a function from the name
    of a command to how it is called.
    """
    called = f"{name}.py" if spelling == SCRIPT else INSTALLED.format(name)
    with noticed() as requests:
        try:
            with as_interrupt():
                code = _run_command(name, called, arguments, spelling)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception as error:
            code = _complain_of(error, name, called)
    return requests.code if code == INTERRUPTED and requests.code is not None else code


def _run_command(name: str, called: str, arguments: Sequence[str], spelling: str) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Without a GPU, TensorFlow reports an error that is none.
    # Of a picture's thousand wrong notes, Pillow warns a thousand times; what cannot be read is said by us.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=called,
        description=re.sub(r"lpr-e2e ([a-z-]+)", lambda found: spelled(found[1], spelling), module.__doc__ or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    if any(re.fullmatch("(--[a-z-]+=)?", one) for one in arguments):
        parser.error("an argument is empty; expected a value: has a variable of the shell none?")
    if getattr(module, "TAKES_REST", False):
        options, *rest = parser.parse_known_args(arguments)
    else:
        options, rest = parser.parse_args(arguments), []
    use_threads(getattr(options, "threads", None))
    options.called = called
    options.spelled = functools.partial(spelled, spelling=spelling)
    return module.run(options, *rest)


def _complain_of(error: Exception, name: str, called: str) -> int:
    """Say what is wrong, if people can mend it, and give the exit code; other errors go on."""
    if isinstance(error, OutputError):
        return _give_up_output(called, error)
    if isinstance(error, UserError | OSError):
        complain(f"{called}: {in_words(error)}")
        return UNWRITTEN if isinstance(error, UnwrittenError) else WRONG_INPUT
    what_to_do = remedy(error, name) if isinstance(error, ImportError) else None
    if what_to_do is None:
        raise error
    complain(f"{called}: {what_to_do}")
    return WRONG_INPUT


def _module(name: str) -> ModuleType:
    return importlib.import_module(COMMANDS[name][0])


def _parser(program: str) -> argparse.ArgumentParser:
    """The parser of a call without a command."""
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} COMMAND ...",
        description="Find licence plates on photographs and read them.",
        epilog=f"commands:\n{table}\n\n{program} COMMAND --help says what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--print-completion", choices=SHELLS, help="print a script that lets a shell complete commands and options"
    )
    return parser


def _print_completion(shell: str) -> int:
    """Print the shell's script of completion for all commands and their options."""
    import shtab

    parser = argparse.ArgumentParser(prog="lpr-e2e", description="Find licence plates on photographs and read them.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--print-completion", choices=SHELLS)
    commands = parser.add_subparsers(dest="command")
    for name, (_, line) in COMMANDS.items():
        command = commands.add_parser(name, help=line)
        _module(name).add_arguments(command)
        for action in command._actions:
            if action.metavar in _DIRECTORIES:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=shell))
    return 0


def _give_up_output(called: str, error: OutputError) -> int:
    """End after a failed print: quietly if nobody reads any more, else with a line on the other stream."""
    if sys.stdout is not None:  # Python would try again to print what is left, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return _CLOSED_PIPE
    complain(f"{called}: the output cannot be printed: {error}")
    return UNWRITTEN


if __name__ == "__main__":  # `python -m lpr_e2e.cli` would do nothing, and say nothing, otherwise.
    as_process(lambda: main(spelling=MODULE))
