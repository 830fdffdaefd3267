"""A small corpus and pairs out of the docstrings of this Python's own packages.

    python3 -m summarizer.docstrings --output DIR

For trying the training where there is neither Debian's documentation nor its index. Writes
DIR/corpus.jsonl, the docstrings of each file as one document, and pairs like summarizer.pairs: the
first line of a docstring is the summary of what follows it. A source is a file, so files of one
package stand on both sides of the split: scores mean little.
"""

import ast
import inspect
import re
import sysconfig
from pathlib import Path

from . import jsonlines
from .commands import UserError, log, parser, positive, run
from .extract import Deduplicator, document, paragraphs
from .pairs import add_split_options, split, write_split

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source):
    """(name, docstring) in a file's order; none where it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", ""), inspect.cleandoc(text)


def pair(docstring):
    """(document, summary), or None where the docstring is not a line and then more."""
    summary, empty, body = docstring.partition("\n\n")
    summary = summary.strip().rstrip(".")
    body = "\n".join(paragraphs(body))
    words = len(body.split())
    if (
        not empty
        or "\n" in summary
        or not 3 <= len(summary.split()) <= 15
        or not 15 <= words <= 200
    ):
        return None
    return body, summary


def default_folders():
    paths = sysconfig.get_paths()
    return sorted({Path(paths[name]) for name in ("stdlib", "purelib", "platlib")})


def files(folders):
    found = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            if not re.search(r"/(tests?|testing|lib2to3)/", path.as_posix()):
                found.setdefault(
                    path.resolve(), f"{folder.name}/{path.relative_to(folder).as_posix()}"
                )
    return sorted(found.items())


def collect(folders, limit):
    """Documents and pairs of as many files as make limit characters of documents."""
    fresh, fresh_pairs = Deduplicator().fresh, Deduplicator().fresh
    documents, pairs, size = [], [], 0
    for path, name in files(folders):
        try:
            texts = list(docstrings(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            continue
        text = document(fresh([p for _, docstring in texts for p in paragraphs(docstring)]))
        if text is not None:
            documents.append({"source": name, "path": str(path), "text": text})
            size += len(text)
        for function, docstring in texts:
            made = pair(docstring)
            if made and fresh_pairs([made[0]]):
                pairs.append(
                    {
                        "id": f"{name}:{function}:{len(pairs)}",
                        "source": name,
                        "section": "python",
                        "document": made[0],
                        "summary": made[1],
                    }
                )
        if size >= limit:
            break
    return documents, pairs


def main():
    arguments = parser(__doc__)
    arguments.add_argument(
        "--from",
        type=Path,
        action="append",
        dest="folders",
        metavar="DIR",
        help="folder of Python files (default: this Python's own library and packages; repeatable)",
    )
    arguments.add_argument(
        "--limit", type=positive, default=8, metavar="MB", help="of text in all (default 8)"
    )
    add_split_options(arguments, 64, 64)
    options = arguments.parse_args()
    folders = options.folders or default_folders()
    documents, pairs = collect(folders, options.limit * 1e6)
    if not documents:
        raise UserError(
            f"no docstrings in {', '.join(map(str, folders))}; name another with --from"
        )
    jsonlines.write(options.output / "corpus.jsonl", documents)
    log(f"{len(documents)} documents, {sum(len(d['text']) for d in documents) / 1e6:.1f} MB")
    write_split(split(pairs, options.test, options.valid, options.seed), options.output)


if __name__ == "__main__":
    run(main)
