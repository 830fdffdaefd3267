import tempfile
import unittest
from pathlib import Path

from summarizer.commands import UserError
from summarizer.debian import documentation, stanzas
from summarizer.pairs import long_description, pairs, split, summary_of

LONG = " ".join(f"word{i}" for i in range(40))
PACKAGES = """\
Package: libfoo-dev
Source: foo (1.2)
Section: libdevel
Size: 10

Package: foo-doc
Source: foo
Section: doc
Size: 1500000

Package: gimp-help-pt-br
Section: doc
Size: 10

Package: huge-doc
Section: doc
Size: 2000001
"""
TRANSLATIONS = f"""\
Package: libfoo-dev
Description-md5: 0
Description-en: parser of foo files (development files)
 first {LONG}
 .
 Features:
  * one
  * two

Package: foo-doc
Description-md5: 1
Description-en: parser of foo files - documentation
 second {LONG}

Package: old-foo
Description-md5: 2
Description-en: transitional package for foo
 third {LONG}

Package: short
Description-md5: 3
Description-en: a short thing
 Too few words.

Package: copy-of-libfoo
Description-md5: 4
Description-en: parser of foo files, again
 first {LONG}
"""


class IndexTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.packages = Path(folder.name, "Packages")
        self.packages.write_text(PACKAGES)
        self.translations = Path(folder.name, "Translation-en")
        self.translations.write_text(TRANSLATIONS)

    def test_a_continued_field_keeps_its_lines(self):
        first = next(stanzas(self.translations))
        self.assertEqual(first["Package"], "libfoo-dev")
        self.assertEqual(len(first["Description-en"].split("\n")), 6)

    def test_what_is_no_index_is_said_to_be_none(self):
        self.packages.write_text("hello\n")
        with self.assertRaisesRegex(UserError, "no colon"):
            list(stanzas(self.packages))

    def test_documentation_is_of_its_section_in_english_and_not_huge(self):
        self.assertEqual(list(documentation(self.packages, 2_000_000)), [("foo-doc", 1500000)])

    def test_pairs_are_descriptions_of_packages_of_their_own_without_copies(self):
        made = list(pairs(self.packages, self.translations))
        self.assertEqual([pair["id"] for pair in made], ["libfoo-dev", "foo-doc"])
        self.assertEqual({pair["source"] for pair in made}, {"foo"})
        self.assertEqual({pair["summary"] for pair in made}, {"parser of foo files"})
        self.assertEqual(made[0]["document"], f"first {LONG}\nFeatures:\n* one\n* two")


class TextTest(unittest.TestCase):
    def test_lines_join_and_items_do_not(self):
        self.assertEqual(
            long_description([" One", " line.", " .", "  - a", "  - b", " ."]),
            "One line.\n- a\n- b",
        )

    def test_the_kind_of_package_is_no_part_of_the_summary(self):
        self.assertEqual(summary_of("tools for x - common files"), "tools for x")
        self.assertEqual(summary_of("tools for x (runtime)"), "tools for x")
        self.assertEqual(summary_of("x - a tool"), "x - a tool")


class SplitTest(unittest.TestCase):
    ROWS = [{"id": str(i), "source": f"source{i // 3}"} for i in range(90)]

    def test_a_source_stands_on_one_side(self):
        parts = split(self.ROWS, 5, 4, 11)
        sources = {name: {row["source"] for row in rows} for name, rows in parts.items()}
        self.assertEqual((len(parts["test"]), len(parts["valid"]), len(parts["train"])), (5, 4, 63))
        self.assertEqual(sum(map(len, sources.values())), len(set.union(*sources.values())))

    def test_the_seed_alone_decides(self):
        self.assertEqual(
            split(self.ROWS, 5, 4, 11),
            split(
                self.ROWS[::3] + [row for row in self.ROWS if row not in self.ROWS[::3]], 5, 4, 11
            ),
        )
        self.assertNotEqual(split(self.ROWS, 5, 4, 11)["test"], split(self.ROWS, 5, 4, 12)["test"])

    def test_too_few_sources_are_refused(self):
        with self.assertRaisesRegex(UserError, "30 sources"):
            split(self.ROWS, 20, 10, 11)


if __name__ == "__main__":
    unittest.main()
