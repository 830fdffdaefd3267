import itertools
import random
import unittest

from summarizer.dialogue import (
    BEGIN,
    IGNORED,
    INSTRUCTION,
    SPECIAL_TOKENS,
    Dialogue,
    DialogueFormat,
    endless_rows,
    pack,
)

PAD = -1


def dialogues(count, longest, seed):
    draw = random.Random(seed)
    token = itertools.count(100)
    for _ in range(count):
        prompt, answer = draw.randrange(1, longest), draw.randrange(1, longest)
        yield Dialogue([next(token) for _ in range(prompt)], [next(token) for _ in range(answer)])


class FormatTest(unittest.TestCase):
    def format(self, longest=None):
        return DialogueFormat(
            lambda text: [ord(c) + 10 for c in text], SPECIAL_TOKENS.index, longest
        )

    def text(self, tokens):
        return "".join(SPECIAL_TOKENS[t] if t < 10 else chr(t - 10) for t in tokens)

    def test_prompt_and_answer_have_the_models_form(self):
        made = self.format()({"document": "Doc.", "summary": "Sum"})
        self.assertEqual(
            self.text(made.prompt), f"{BEGIN}<|user|>{INSTRUCTION}Doc.<|end|><|assistant|>"
        )
        self.assertEqual(self.text(made.answer), "Sum<|end|>")

    def test_a_long_document_is_cut_and_keeps_its_end_token(self):
        made = self.format(len(INSTRUCTION) + 2)({"document": "Doc.", "summary": "Sum"})
        self.assertEqual(
            self.text(made.prompt), f"{BEGIN}<|user|>{INSTRUCTION}Do<|end|><|assistant|>"
        )


class PackTest(unittest.TestCase):
    def test_rows_hold_all_dialogues_whole_and_label_the_answers(self):
        for seed in range(20):
            given = list(dialogues(50, 12, seed))
            rows = list(pack(given, 30, PAD))
            tokens = [t for row, _ in rows for t in row if t != PAD]
            self.assertEqual(tokens, [t for d in given for t in d.prompt + d.answer])
            labels = [label for _, row in rows for label in row if label != IGNORED]
            self.assertEqual(labels, [t for d in given for t in d.answer])
            for row, marks in rows:
                self.assertEqual((len(row), len(marks)), (30, 30))
                self.assertTrue(all(mark in (IGNORED, token) for token, mark in zip(row, marks)))
                self.assertEqual(row[0], next(d.prompt[0] for d in given if d.prompt[0] == row[0]))

    def test_a_dialogue_longer_than_a_row_is_refused(self):
        with self.assertRaisesRegex(ValueError, "31 tokens in rows of 30"):
            list(pack([Dialogue([1] * 30, [2])], 30, PAD))

    def test_epochs_have_the_same_dialogues_in_other_orders_and_repeat_by_seed(self):
        given = list(dialogues(40, 8, 3))

        def rows(seed):
            return list(itertools.islice(endless_rows(given, 1000, PAD, seed), 2))

        first, second = (sorted(tokens) for tokens, _ in rows(1))
        self.assertEqual(first, second)
        self.assertNotEqual(rows(1)[0], rows(1)[1])
        self.assertEqual(rows(1), rows(1))
        self.assertNotEqual(rows(1), rows(2))


if __name__ == "__main__":
    unittest.main()
