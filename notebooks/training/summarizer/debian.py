"""Debian's package index, and which of its packages hold documentation.

    python3 -m summarizer.debian --packages Packages > packages.txt

prints the names of the packages to take texts from, for `apt-get download`.
"""

import re
import sys
from pathlib import Path

from . import jsonlines
from .commands import UserError, log, parser, positive, run

# gimp-help-pt-br, debian-reference-fr: the same text in another language
_TRANSLATED = re.compile(
    r"-(ar|bg|ca|cs|da|de|el|eo|es|et|eu|fa|fi|fr|gl|he|hr|hu|id|it|ja|ka|ko|lt|lv|nb|nl|nn|no|pl"
    r"|pt|ro|ru|sk|sl|sr|sv|tr|uk|vi|zh)([-_]?(br|cn|tw|hk|pt))?$"
)


def stanzas(path):
    """The stanzas of a control file as dictionaries; continued lines keep their newlines."""
    fields = {}
    name = None
    try:
        with jsonlines.open_text(path) as lines:
            for line in lines:
                line = line.rstrip("\n")
                if not line:
                    if fields:
                        yield fields
                    fields, name = {}, None
                elif line[0] in " \t":
                    if name is None:
                        raise UserError(
                            f"'{path}' is no package index: '{line[:40]}' continues nothing"
                        )
                    fields[name] += "\n" + line
                else:
                    name, colon, value = line.partition(":")
                    if not colon:
                        raise UserError(f"'{path}' is no package index: '{line[:40]}' has no colon")
                    fields[name] = value.strip()
    except OSError as e:
        raise UserError(f"cannot read '{path}' ({e.strerror}); README.md says how to get it") from e
    except UnicodeDecodeError as e:
        raise UserError(f"'{path}' is packed; unpack it with apt-helper cat-file") from e
    if fields:
        yield fields


def documentation(index, largest):
    """(package, bytes to download) of English documentation packages of main up to that size."""
    for stanza in stanzas(index):
        name = stanza.get("Package", "")
        section = stanza.get("Section", "")
        size = int(stanza.get("Size", 0))
        if section == "doc" and size <= largest and not _TRANSLATED.search(name):
            yield name, size


def main():
    arguments = parser(__doc__)
    arguments.add_argument(
        "--packages",
        required=True,
        type=Path,
        metavar="FILE",
        help="apt's index of main's packages, unpacked",
    )
    arguments.add_argument(
        "--largest",
        type=positive,
        default=2,
        metavar="MB",
        help="leave out packages with more to download; most of those are pictures (default 2)",
    )
    options = arguments.parse_args()
    found = sorted(documentation(options.packages, options.largest * 1_000_000))
    if not found:
        raise UserError(f"'{options.packages}' lists no documentation package of main")
    for name, _ in found:
        print(name)
    sys.stdout.flush()
    log(f"{len(found)} packages, {sum(size for _, size in found) / 1e6:,.0f} MB to download")


if __name__ == "__main__":
    run(main)
