package io.rollcall.engine.evaluation;

import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * ROUGE-L (Lin, 2004): F1 of the longest common subsequence of words, over the whole text as one
 * sentence. Words are as the rouge_score package tokenises: runs of [a-z0-9] in lower case; they are
 * not stemmed.
 */
public final class RougeL {
  private static final Pattern WORD = Pattern.compile("[a-z0-9]+");

  private RougeL() {}

  /** In [0, 1]; 0 where either has no words. */
  public static double score(String reference, String answer) {
    String[] expected = words(reference);
    String[] found = words(answer);
    int common = commonSubsequence(expected, found);
    return common == 0 ? 0 : 2.0 * common / (expected.length + found.length);
  }

  private static String[] words(String text) {
    return WORD.matcher(text.toLowerCase(Locale.ROOT))
        .results()
        .map(MatchResult::group)
        .toArray(String[]::new);
  }

  private static int commonSubsequence(String[] a, String[] b) {
    int[] lengths = new int[b.length + 1];
    for (String word : a) {
      int diagonal = 0;
      for (int j = 1; j <= b.length; j++) {
        int above = lengths[j];
        lengths[j] =
            word.equals(b[j - 1]) ? diagonal + 1 : Math.max(above, lengths[j - 1]);
        diagonal = above;
      }
    }
    return lengths[b.length];
  }
}
