"""What all commands share: how they say what is wrong, and their log."""

import argparse
import sys
import time

STARTED = time.monotonic()


class UserError(Exception):
    """One line for the user: what is wrong with which thing, and what to do."""


def log(message):
    """A line on stderr with the seconds since the command started."""
    print(f"[{time.monotonic() - STARTED:7.1f} s] {message}", file=sys.stderr, flush=True)


def parser(description):
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def positive(text):
    """An argparse type: a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def run(main):
    """Runs a command: status 0, 1 with one line on failure, 2 (argparse) for wrong usage."""
    name = sys.modules["__main__"].__spec__.name
    try:
        main()
    except UserError as e:
        sys.exit(f"{name.rpartition('.')[2]}: {e}")
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
