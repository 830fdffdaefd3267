import io
import json
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path

from summarizer import corpus, docstrings, jsonlines
from summarizer.commands import UserError
from summarizer.config import PRESETS, configured
from summarizer.rouge import rouge_l


class RougeTest(unittest.TestCase):
    def test_words_in_order_count_whatever_their_case(self):
        # "the cat mat": 3 of 4 and 3 of 5 words
        self.assertAlmostEqual(rouge_l("The cat, a mat", "the cat on the mat"), 2 * 3 / (4 + 5))
        self.assertEqual(rouge_l("a b c", "A B. C!"), 1.0)
        self.assertEqual(rouge_l("c b a", "x y z"), 0.0)
        self.assertEqual(rouge_l("", "x"), 0.0)

    def test_order_matters(self):
        self.assertAlmostEqual(rouge_l("c b a", "a b c"), 1 / 3)


class JsonLinesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_rows_come_back_from_plain_and_packed_files(self):
        rows = [{"text": "ä\nb"}, {"text": "c"}]
        for name in ("a.jsonl", "a.jsonl.xz", "a.jsonl.gz"):
            self.assertEqual(jsonlines.write(self.folder / name, rows), 2)
            self.assertEqual(jsonlines.read(self.folder / name, ["text"]), rows)

    def test_a_write_that_fails_leaves_the_old_file(self):
        path = self.folder / "a.jsonl"
        jsonlines.write(path, [{"text": "old"}])
        with self.assertRaises(ZeroDivisionError):
            jsonlines.write(path, ({"text": 1 / n} for n in (1, 0)))
        self.assertEqual(jsonlines.read(path, ["text"]), [{"text": "old"}])

    def test_what_is_wrong_is_named(self):
        path = self.folder / "a.jsonl"
        with self.assertRaisesRegex(UserError, "cannot read"):
            jsonlines.read(path, [])
        for content, words in (
            ('{"a": 1}\n{"b": 2}\n', "no 'a' in line 2"),
            ("x\n", "not a file of JSON"),
            ("", "empty"),
        ):
            path.write_text(content)
            with self.assertRaisesRegex(UserError, words):
                jsonlines.read(path, ["a"])


class CorpusTest(unittest.TestCase):
    @staticmethod
    def page(number):
        return [
            f"Sentence {number} of this page has six words {half}." for half in ("or more", "or so")
        ]

    def test_paragraphs_come_once_and_sources_end_at_their_limit(self):
        read = [
            ("a", "1", self.page(1)),
            ("b", "copy", self.page(1)),
            ("a", "2", self.page(2)),
            ("a", "3", self.page(3)),
            ("b", "4", self.page(4)),
        ]
        with redirect_stderr(io.StringIO()):
            rows = list(corpus.documents(read, source_limit=150, limit=10_000))
        self.assertEqual([row["path"] for row in rows], ["1", "2", "4"])

    def test_the_limit_ends_it(self):
        read = [("a", str(i), self.page(i)) for i in range(100)]
        with redirect_stderr(io.StringIO()):
            rows = list(corpus.documents(read, 10_000, 500))
        self.assertGreaterEqual(sum(len(row["text"]) for row in rows), 500)
        self.assertLess(sum(len(row["text"]) for row in rows), 700)

    def test_a_tree_is_read_without_translations(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in (
                "doc/x/a.html",
                "doc/x/de/a.html",
                "man/man1/x.1",
                "man/pt_BR/man1/x.1",
                "doc/x/_sources/a.rst.txt",
                "doc/x/a.png",
            ):
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("Some text")
            self.assertEqual(
                [path for _, path, _ in corpus.read_tree("x", folder)],
                ["doc/x/a.html", "man/man1/x.1"],
            )


class DocstringsTest(unittest.TestCase):
    BODY = "It does so with words enough to be a document, of which there are fifteen at least."

    def test_a_docstring_is_a_summary_and_what_follows(self):
        self.assertEqual(
            docstrings.pair(f"Return the thing.\n\n{self.BODY}"), (self.BODY, "Return the thing")
        )
        self.assertIsNone(docstrings.pair("Return the thing."))
        self.assertIsNone(docstrings.pair(f"Return\nthe thing.\n\n{self.BODY}"))
        self.assertIsNone(docstrings.pair("Return the thing.\n\nToo short."))

    def test_files_that_do_not_parse_are_passed_over(self):
        self.assertEqual(list(docstrings.docstrings("def f(:")), [])
        self.assertEqual(
            list(
                docstrings.docstrings(
                    '"""M."""\nclass C:\n  """C."""\n  def f(self):\n    """F."""'
                )
            ),
            [("", "M."), ("C", "C."), ("f", "F.")],
        )

    def test_equal_bodies_make_one_pair(self):
        with tempfile.TemporaryDirectory() as folder:
            text = f'def f():\n    """Return the thing.\n\n    {self.BODY}\n    """\n'
            Path(folder, "a.py").write_text(text)
            Path(folder, "b.py").write_text(text)
            _, pairs = docstrings.collect([Path(folder)], 10_000)
            self.assertEqual([pair["document"] for pair in pairs], [self.BODY])


class ConfigTest(unittest.TestCase):
    def test_the_default_is_the_built_in_model(self):
        config = json.loads(
            (
                Path(__file__).parents[3]
                / "engine/src/main/resources/io/rollcall/models/summarizer-20m/config.json"
            ).read_text()
        )
        shape = PRESETS["20m"].shape
        self.assertEqual(shape.parameters, 20_453_760)
        self.assertEqual(
            (
                shape.vocabulary,
                shape.hidden,
                shape.intermediate,
                shape.layers,
                shape.heads,
                shape.key_value_heads,
                shape.head_size,
                shape.context,
            ),
            tuple(
                config[name]
                for name in (
                    "vocab_size",
                    "hidden_size",
                    "intermediate_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "num_key_value_heads",
                    "head_dim",
                    "max_position_embeddings",
                )
            ),
        )

    def test_presets_are_of_sizes_that_a_device_of_rollcall_computes(self):
        for name, config in PRESETS.items():
            shape = config.shape
            self.assertEqual((shape.hidden % 64, shape.intermediate % 64), (0, 0), name)
            self.assertIn(shape.head_size, (64, 128), name)
            self.assertLessEqual(shape.heads / shape.key_value_heads, 8, name)
            self.assertLessEqual(config.length, shape.context, name)

    def test_steps_replace_a_phases_own(self):
        config = configured("20m", pretraining=7, instruction=None, seed=3)
        self.assertEqual((config.pretraining.steps, config.pretraining.peak), (7, 2e-3))
        self.assertEqual((config.instruction, config.seed), (PRESETS["20m"].instruction, 3))


if __name__ == "__main__":
    unittest.main()
