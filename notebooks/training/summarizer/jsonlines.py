"""JSON lines and other text files, plain or packed by their ending (.xz, .gz)."""

import gzip
import json
import lzma
import os
from pathlib import Path

from .commands import UserError

_OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def open_text(path, mode="r"):
    return _OPENERS.get(Path(path).suffix, open)(path, mode + "t", encoding="utf-8")


def read(path, fields):
    """All rows of a file; each must have the fields."""
    rows = []
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                missing = [field for field in fields if field not in row]
                if missing:
                    raise UserError(f"'{path}' has no '{missing[0]}' in line {number}")
                rows.append(row)
    except OSError as e:
        raise UserError(
            f"cannot read '{path}' ({e.strerror or e}); README.md says what makes it"
        ) from e
    except (ValueError, lzma.LZMAError, EOFError) as e:
        raise UserError(f"'{path}' is not a file of JSON lines ({e}); make it again") from e
    if not rows:
        raise UserError(f"'{path}' is empty; give the step that made it more to read")
    return rows


def write(path, rows):
    """Writes rows one at a time; the file has its name only once it is whole. Returns how many."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    count = 0
    with open_text(partial, "w") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    os.replace(partial, path)
    return count
