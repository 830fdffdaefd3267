"""English paragraphs out of documentation: HTML, manual pages, plain text.

Knows nothing of where files come from. Text is lists of paragraphs throughout.
"""

import hashlib
import re
from html.parser import HTMLParser

# Characters of a paragraph.
_SHORTEST = 3
_BLOCKS = frozenset(
    "address article blockquote br dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre section table td"
    " th tr ul para title listitem term screen programlisting".split()
)
_UNSEEN = frozenset("button footer form head header nav noscript script select style svg".split())
_HTML = re.compile(r"\.(html?|xhtml|page|docbook)$")
_MANUAL = re.compile(r"(^|/)man/(.*/)?[^/]+\.\d\w*$")
_PLAIN = re.compile(r"\.(txt|md|rst)$|(^|/)(README|NEWS)$")


class _Reader(HTMLParser):
    """Collects what a browser would show; newlines survive in pre alone."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.pieces = []
        self.unseen = 0
        self.pre = 0

    def handle_starttag(self, tag, attrs):
        self.unseen += tag in _UNSEEN
        self.pre += tag == "pre"
        self._break(tag)

    def handle_endtag(self, tag):
        self.unseen -= tag in _UNSEEN and self.unseen > 0
        self.pre -= tag == "pre" and self.pre > 0
        self._break(tag)

    def handle_startendtag(self, tag, attrs):
        # <script/> and the like open nothing in XHTML
        self._break(tag)

    def handle_data(self, data):
        if not self.unseen:
            self.pieces.append(data if self.pre else re.sub(r"\s+", " ", data))

    def _break(self, tag):
        if tag in _BLOCKS:
            self.pieces.append("\n" if tag == "br" else "\n\n")


def html(source):
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return paragraphs("".join(reader.pieces))


# Requests of man and mdoc: headings, and those after which a new paragraph begins.
_HEADINGS = frozenset("SH SS Sh Ss".split())
_BREAKS = frozenset("TP TQ PP P LP IP HP br sp nf fi RS RE EX EE Pp It Bl El Bd Ed D1 Dl".split())
# Those that say something themselves; elsewhere it is an indent or a kind of list.
_TAGGED = frozenset("IP It D1 Dl".split())
# Lines stay as they are from one of the first to one of the second.
_UNFILLED = frozenset("nf EX Bd".split())
_REFILLED = frozenset("fi EE Ed".split())
# Macros that set their words in a face; those of two faces put the words together.
_FACES = frozenset("B I R SM SB".split())
_TWO_FACES = frozenset("BI BR IB IR RB RI".split())
# mdoc's macros, which also stand among a line's words, and those that show nothing
_MDOC = re.compile("[A-Z][a-z]")
_SILENT = frozenset("Dd Dt Os Sm Bk Ek".split())
_DASHES = {"Fl": " -", "Nd": " - "}
_SPECIAL = {
    "aq": "'",
    "dq": '"',
    "lq": '"',
    "rq": '"',
    "oq": "'",
    "cq": "'",
    "bu": "-",
    "em": "-",
    "en": "-",
    "hy": "-",
    "co": "(C)",
    "rs": "\\",
    "ti": "~",
    "ha": "^",
    "mi": "-",
}


def _roff_text(line):
    line = re.sub(r'\\".*', "", line)
    line = re.sub(r"\\f(\(..|\[[^]]*\]|.)|\\s[-+]?\d+|\\[&%/,|^:]|\\\*(\(..|\[[^]]*\]|.)", "", line)
    line = re.sub(r"\\\((..)|\\\[(\w+)\]", lambda m: _SPECIAL.get(m[1] or m[2], ""), line)
    return line.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").replace("\\~", " ")


def _roff_words(arguments):
    return [
        _roff_text(m[1] if m[1] is not None else m[2])
        for m in re.finditer(r'"([^"]*)"?|((?:\\ |\S)+)', arguments)
    ]


def _mdoc_text(words):
    """What a line of mdoc says: no macros, options with their dash, words put together at .Ns."""
    shown, before = "", ""
    for word in words:
        if word in _DASHES:
            before = _DASHES[word]
        elif word == "Ns":
            before = before.lstrip()
        elif not _MDOC.fullmatch(word):
            shown += before + word
            before = " "
    return shown.strip()


def manual(source):
    """A manual page in man or mdoc macros. Tables and equations lose their layout."""
    found, current, filled, name = [], [], True, ""

    def end():
        if current:
            found.append((" " if filled else "\n").join(current))
            current.clear()

    for line in source.splitlines():
        if line[:1] not in (".", "'"):
            text = _roff_text(line)
            if text.strip():
                current.append(text.strip() if filled else text.rstrip())
            else:
                end()
            continue
        request, _, arguments = line[1:].lstrip().partition(" ")
        words = _roff_words(arguments)
        if request in _HEADINGS:
            end()
            found.append(" ".join(words))
        elif request in _BREAKS:
            end()
            filled = request not in _UNFILLED and (filled or request in _REFILLED)
            if words and request in _TAGGED:
                current.append(words[0] if request == "IP" else _mdoc_text(words))
        elif request in _TWO_FACES:
            current.append("".join(words))
        elif words and request in _FACES:
            current.append(" ".join(words))
        elif request == "Nm" and not words:
            current.append(name)
        elif _MDOC.fullmatch(request) and request not in _SILENT:
            current.append(_mdoc_text([request, *words]))
            name = words[0] if request == "Nm" and not name else name
    end()
    return [paragraph for paragraph in found if len(paragraph) >= _SHORTEST]


def paragraphs(text):
    """Text cut at empty lines."""
    found = []
    for block in re.split(r"\n[ \t\r]*\n", text):
        block = re.sub(r"[ \t\r\f]+", " ", block).strip()
        if len(block) >= _SHORTEST:
            found.append(block)
    return found


def reader_for(path):
    """The function from a file's text to its paragraphs; None where it is no text for readers."""
    name = path.removesuffix(".gz")
    if _HTML.search(name):
        return html
    if _MANUAL.search(name):
        return manual
    return paragraphs if _PLAIN.search(name) else None


def is_prose(paragraph):
    """At least six words, and most of what is not blank is letters: no code, no tables."""
    words = re.findall(r"[A-Za-z']+", paragraph)
    return len(words) >= 6 and sum(map(len, words)) > 0.6 * len(re.sub(r"\s", "", paragraph))


class Deduplicator:
    """Drops paragraphs seen before, in this document or an earlier one.

    Two are the same when the letters and digits of their first 300 characters are: copies differ in
    wrapping and punctuation. Short lines, headings mostly, may repeat.
    """

    SHORT = 30

    def __init__(self):
        self._seen = set()

    def fresh(self, paragraphs):
        kept = []
        for paragraph in paragraphs:
            if len(paragraph) >= self.SHORT:
                key = re.sub(r"[\W_]+", "", paragraph.lower())[:300]
                digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
                if digest in self._seen:
                    continue
                self._seen.add(digest)
            kept.append(paragraph)
        return kept


def document(paragraphs, short=80):
    """The prose and the short lines between as one text; None with fewer than two of prose."""
    if sum(map(is_prose, paragraphs)) < 2:
        return None
    return "\n\n".join(p for p in paragraphs if len(p) < short or is_prose(p))
