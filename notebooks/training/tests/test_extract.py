import unittest

from summarizer.extract import Deduplicator, document, html, is_prose, manual, reader_for


class HtmlTest(unittest.TestCase):
    def test_blocks_are_paragraphs_and_inline_tags_are_not(self):
        self.assertEqual(
            html("<h1>Title</h1><p>One <b>bold</b>\n  word &amp; more.<p>Two."),
            ["Title", "One bold word & more.", "Two."],
        )

    def test_pre_keeps_its_lines(self):
        self.assertEqual(html("<p>See:</p><pre>a = 1\nb = 2</pre>"), ["See:", "a = 1\nb = 2"])

    def test_scripts_and_navigation_are_not_text(self):
        self.assertEqual(html("<script>var x;</script><nav><p>Home</p></nav><p>Text</p>"), ["Text"])

    def test_an_empty_script_of_xhtml_hides_nothing_after_it(self):
        self.assertEqual(html("<script src='x'/><p>Text</p>"), ["Text"])


class ManualTest(unittest.TestCase):
    def test_lines_and_faces_make_one_paragraph(self):
        page = (
            '.TH X 1\n.SH "SEE ALSO"\n.PP\nThe\n.BR ls (1)\nprogram \\fIlists\\fP \\-a.\n'
            '.\\" hidden\n'
        )
        self.assertEqual(manual(page), ["SEE ALSO", "The ls(1) program lists -a."])

    def test_examples_keep_their_lines(self):
        self.assertEqual(
            manual(".nf\nint a;\n  int b;\n.fi\nText\nhere."), ["int a;\n  int b;", "Text here."]
        )

    def test_a_tag_stands_before_its_paragraph(self):
        self.assertEqual(manual(".IP (1) 4\nThe first."), ["(1) The first."])

    def test_macros_of_mdoc_are_not_words(self):
        page = (
            ".Sh NAME\n.Nm ssh\n.Nd client\n.Pp\n.Nm\nuses\n.Fl a Ar file Ns s .\n.It Fl b\nSays."
        )
        self.assertEqual(manual(page), ["NAME", "ssh - client", "ssh uses -a files .", "-b Says."])


class PathsTest(unittest.TestCase):
    def test_the_reader_goes_by_the_ending(self):
        self.assertIs(reader_for("doc/a/index.html"), html)
        self.assertIs(reader_for("/usr/share/man/man1/ls.1.gz"), manual)
        self.assertIsNotNone(reader_for("doc/a/README.gz"))
        self.assertIsNone(reader_for("doc/a/picture.png"))
        self.assertIsNone(reader_for("doc/a/libc.so.6"))


class DocumentTest(unittest.TestCase):
    PROSE = "This sentence has more than six words of text."

    def test_code_is_not_prose(self):
        self.assertTrue(is_prose(self.PROSE))
        self.assertFalse(is_prose("x[0] += 1; y[1] -= 2; (a | b) & (c ^ d) == 0x10 != 20;"))
        self.assertFalse(is_prose("Five words are too few."))

    def test_a_paragraph_stays_the_first_time_whatever_its_wrapping(self):
        fresh = Deduplicator().fresh
        self.assertEqual(fresh([self.PROSE, "Notes", "Notes"]), [self.PROSE, "Notes", "Notes"])
        self.assertEqual(fresh([self.PROSE.upper().replace(" ", "\n")]), [])

    def test_a_document_needs_two_paragraphs_of_prose(self):
        code = "0x" + "1" * 100
        self.assertIsNone(document([self.PROSE, "Short"]))
        self.assertEqual(
            document([self.PROSE, "Short", code, self.PROSE]),
            f"{self.PROSE}\n\nShort\n\n{self.PROSE}",
        )


if __name__ == "__main__":
    unittest.main()
