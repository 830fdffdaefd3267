"""The corpus of the first phase: texts out of Debian's documentation packages.

    python3 -m summarizer.corpus --debs DIR --output corpus.jsonl.xz
    python3 -m summarizer.corpus --tree /usr/share/doc --tree /usr/share/man --output corpus.jsonl

Writes JSON lines with source (package, or the tree's folder), path and text. Paragraphs that an
earlier document had are left out, so that every paragraph is there once.
"""

import gzip
import os
import random
import re
import subprocess
import tempfile
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from . import jsonlines
from .commands import UserError, log, parser, positive, run
from .extract import Deduplicator, document, reader_for

LARGEST_FILE = 6_000_000
# What Sphinx made its pages from, beside them.
_SOURCES = "/_sources/"
# Folders of translations. Not every two letters: doc/ui and doc/go are English.
_TRANSLATIONS = re.compile(
    r"/(ar|bg|ca|cs|da|de|el|es|et|eu|fa|fi|fr|gl|he|hr|hu|id|it|ja|ko|lt|lv|nb|nl|nn|pl|pt|ro|ru"
    r"|sk|sl|sr|sv|tr|uk|vi|zh)([-_.@][A-Za-z0-9@.-]+)?/"
)


def read_file(path):
    """A file's paragraphs; none where it cannot be read as text."""
    reader = reader_for(str(path))
    if reader is None:
        return []
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return reader(file.read(LARGEST_FILE).decode("utf-8", "ignore"))
    except (OSError, EOFError, zlib.error, AssertionError):
        # a broken archive, or markup that html.parser gives up on
        return []


def read_tree(source, root):
    """[source, path, paragraphs] of each file below a folder, in order of their paths."""
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            inside = path.relative_to(root).as_posix()
            if path.is_symlink() or not path.is_file():
                continue
            if _TRANSLATIONS.search(f"/{inside}") or _SOURCES in f"/{inside}":
                continue
            paragraphs = read_file(path)
            if paragraphs:
                found.append((source, inside, paragraphs))
    return found


def read_deb(path):
    """The same of a package, unpacked for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="summarizer-") as root:
        done = subprocess.run(["dpkg-deb", "-x", str(path), root], capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                f"dpkg-deb cannot unpack '{path}': {done.stderr.strip().splitlines()[-1:]}"
            )
        return read_tree(path.name.partition("_")[0], root)


def _read(unit):
    source, path = unit
    return read_deb(path) if source is None else read_tree(source, path)


def units(debs, trees):
    """What workers read one at a time, (None, package file) or (name, folder), in a fixed order."""
    found = []
    for folder in debs:
        packages = sorted(folder.glob("*.deb"))
        if not packages:
            raise UserError(f"'{folder}' holds no .deb; download packages into it first")
        found += [(None, package) for package in packages]
    for tree in trees:
        if not tree.is_dir():
            raise UserError(f"'{tree}' is no folder; point --tree at one with documentation")
        found += [(f.name, f) for f in sorted(tree.iterdir()) if f.is_dir() and not f.is_symlink()]
    # so that a limit does not cut after the letter m
    random.Random(0).shuffle(found)
    return found


def documents(read, source_limit, limit):
    """Rows of the corpus from what workers read; characters are counted by source and in all."""
    fresh = Deduplicator().fresh
    sizes = Counter()
    for source, path, paragraphs in read:
        if sizes[source] >= source_limit:
            continue
        text = document(fresh(paragraphs))
        if text is None:
            continue
        sizes[source] += len(text)
        yield {"source": source, "path": path, "text": text}
        if sizes.total() >= limit:
            break
    log(f"{sizes.total() / 1e6:.1f} MB of text from {len(sizes)} sources")
    for source, size in sizes.most_common(10):
        log(f"  {source} {size / 1e6:.1f} MB")


def main():
    arguments = parser(__doc__)
    arguments.add_argument(
        "--debs",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of .deb files; needs dpkg-deb (may be repeated)",
    )
    arguments.add_argument(
        "--tree",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose folders are sources, like /usr/share/doc; languages other than English"
        " are left out by their folders' names (may be repeated)",
    )
    arguments.add_argument("--output", type=Path, required=True, metavar="FILE.jsonl[.xz|.gz]")
    arguments.add_argument(
        "--source-limit",
        type=positive,
        default=30,
        metavar="MB",
        help="of text from one source, so that none makes up the corpus (default 30)",
    )
    arguments.add_argument(
        "--limit", type=positive, default=1000, metavar="MB", help="of text in all (default 1000)"
    )
    arguments.add_argument("--workers", type=positive, default=os.cpu_count())
    options = arguments.parse_args()
    if not options.debs and not options.tree:
        arguments.error("give --debs or --tree")
    work = units(options.debs, options.tree)
    log(f"{len(work)} packages and folders")
    with ProcessPoolExecutor(options.workers) as workers:
        results = workers.map(_read, work, chunksize=4)
        rows = documents(
            (each for result in results for each in result),
            options.source_limit * 1e6,
            options.limit * 1e6,
        )
        count = jsonlines.write(options.output, rows)
        workers.shutdown(cancel_futures=True)
    if not count:
        raise UserError("no English text was found; give folders with HTML, manual pages or text")
    print(f"{options.output}: {count} documents")


if __name__ == "__main__":
    run(main)
