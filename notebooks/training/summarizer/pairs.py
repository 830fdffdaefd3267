"""Pairs of a document and its one-line summary, out of Debian's package descriptions.

    python3 -m summarizer.pairs --packages Packages --translations Translation-en --output DIR

A package's long description is the document, its synopsis the summary. Writes DIR/train.jsonl,
valid.jsonl and test.jsonl with id (package), source (source package), section, document, summary.
Packages of one source share their sentences, so all of them stand on one side of the split, and
validation and test have one package of a source.
"""

import random
import re
from pathlib import Path

from . import jsonlines
from .commands import UserError, log, parser, positive, run
from .debian import stanzas

WORDS = range(30, 261)
LONGEST_SUMMARY = 90
# The built-in model's split: with Debian 12's index it comes out the same again.
SEED = 11

_BULLET = re.compile(r"\s*([*+o-]|\d+[.)])\s")
_NO_PACKAGE_OF_ITS_OWN = re.compile("transitional|dummy package", re.IGNORECASE)
_KIND = re.compile(
    r"\s+-\s+(development files|documentation|common files|data files|headers|shared library"
    r"|debug symbols|runtime|doc|dev).*$",
    re.IGNORECASE,
)


def long_description(lines):
    """Text of an extended description (Debian policy 5.6.13): a line a paragraph or list item."""
    found = []
    current = ""
    for line in lines:
        line = line.removeprefix(" ")
        if line.strip() in (".", ""):
            if current and line.strip():
                found.append(current.strip())
                current = ""
        elif _BULLET.match(line) or line.startswith("  "):
            current += "\n" + line.strip()
        else:
            current += (" " if current else "") + line.strip()
    if current:
        found.append(current.strip())
    return "\n".join(found)


def summary_of(synopsis):
    """The synopsis without what it says of the package's kind: '(dev)', '- documentation'."""
    return _KIND.sub("", re.sub(r"\s*[-–]?\s*\((.*?)\)\s*$", "", synopsis).strip()).strip()


def pairs(packages, translations):
    """One for each description that is a document, in the order of the translations' index."""
    sources, sections = {}, {}
    for stanza in stanzas(packages):
        name = stanza.get("Package")
        if name:
            # 'foo (1.2)' where the versions differ
            sources[name] = stanza.get("Source", name).split()[0]
            sections[name] = stanza.get("Section", "")
    seen = set()
    for stanza in stanzas(translations):
        name = stanza.get("Package")
        synopsis, *lines = stanza.get("Description-en", "").split("\n")
        if not name or not lines:
            continue
        text = long_description(lines)
        summary = summary_of(synopsis)
        key = re.sub(r"\W+", "", text.lower())[:160]
        if (
            _NO_PACKAGE_OF_ITS_OWN.search(synopsis + text)
            or len(text.split()) not in WORDS
            or len(summary.split()) < 2
            or len(summary) > LONGEST_SUMMARY
            or key in seen
        ):
            continue
        seen.add(key)
        yield {
            "id": name,
            "source": sources.get(name, name),
            "section": sections.get(name, ""),
            "document": text,
            "summary": summary,
        }


def split(rows, test, valid, seed):
    """{name: rows}: sources shuffled, the first to test, the next to validation, one row each."""
    by_source = {}
    for row in rows:
        by_source.setdefault(row["source"], []).append(row)
    sources = sorted(by_source)
    if len(sources) <= test + valid:
        raise UserError(
            f"{len(sources)} sources cannot be split into {test} for test, {valid} for validation"
            " and some for training; lower --test and --valid or give more"
        )
    random.Random(seed).shuffle(sources)
    return {
        "test": [by_source[source][0] for source in sources[:test]],
        "valid": [by_source[source][0] for source in sources[test : test + valid]],
        "train": [row for source in sources[test + valid :] for row in by_source[source]],
    }


def write_split(parts, output):
    for name, rows in parts.items():
        jsonlines.write(output / f"{name}.jsonl", rows)
        log(f"{name}: {len(rows)} pairs, {sum(len(row['document']) for row in rows) / 1e6:.2f} MB")
    print(f"{output}: {sum(map(len, parts.values()))} pairs")


def add_split_options(arguments, test, valid):
    arguments.add_argument("--output", type=Path, required=True, metavar="DIR")
    arguments.add_argument("--test", type=positive, default=test, help=f"sources (default {test})")
    arguments.add_argument(
        "--valid", type=positive, default=valid, help=f"sources (default {valid})"
    )
    arguments.add_argument("--seed", type=int, default=SEED)


def main():
    arguments = parser(__doc__)
    arguments.add_argument(
        "--packages",
        type=Path,
        required=True,
        metavar="FILE",
        help="apt's index of main's packages, unpacked",
    )
    arguments.add_argument(
        "--translations",
        type=Path,
        required=True,
        metavar="FILE",
        help="apt's Translation-en of the same, unpacked",
    )
    add_split_options(arguments, 2000, 500)
    options = arguments.parse_args()
    rows = list(pairs(options.packages, options.translations))
    write_split(split(rows, options.test, options.valid, options.seed), options.output)


if __name__ == "__main__":
    run(main)
