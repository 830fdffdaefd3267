"""ROUGE-L (Lin 2004): F1 of the longest common subsequence of two texts' words."""

import re


def words(text):
    return re.findall(r"\w+", text.lower())


def rouge_l(answer, reference):
    """0 to 1; 0 where either has no word. The same for both orders."""
    a, b = words(answer), words(reference)
    if not a or not b:
        return 0.0
    # lengths[j]: longest common subsequence of the words of a so far and of the first j of b
    lengths = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for j, other in enumerate(b, 1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if word == other else max(above, lengths[j - 1])
            diagonal = above
    return 2 * lengths[-1] / (len(a) + len(b))
