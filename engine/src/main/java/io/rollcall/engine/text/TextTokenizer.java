package io.rollcall.engine.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A checkpoint's tokenizer.json. Safe for concurrent use: the native tokenizer is not changed after
 * it is made, and {@link #close} waits for calls under way.
 */
public final class TextTokenizer implements AutoCloseable {
  private static final String FILE = "tokenizer.json";

  private final TokenizersLibrary library;
  private final ReadWriteLock lifetime = new ReentrantReadWriteLock();
  private long handle;

  private TextTokenizer(TokenizersLibrary library, long handle) {
    this.library = library;
    this.handle = handle;
  }

  /** @throws UserException when there is no tokenizer.json or it cannot be understood */
  public static TextTokenizer load(ModelFiles files) {
    if (!files.has(FILE)) {
      throw new UserException(
          "model '" + files.name() + "' has no " + FILE
              + "; save its fast tokenizer beside it (save_pretrained in transformers)");
    }
    TokenizersLibrary library = NativeTokenizers.library();
    String json = new String(files.read(FILE), StandardCharsets.UTF_8);
    long handle;
    try {
      handle = library.createTokenizerFromString(json);
    } catch (RuntimeException e) {
      throw new UserException(
          "file '" + FILE + "' of model '" + files.name() + "' is not a tokenizer ("
              + e.getMessage() + "); download it again",
          e);
    }
    library.disableTruncation(handle);
    library.disablePadding(handle);
    return new TextTokenizer(library, handle);
  }

  /**
   * @param special whether the tokenizer adds its own special tokens (begin of text); special tokens
   *     written out in the text are recognised either way
   */
  public int[] encode(String text, boolean special) {
    lifetime.readLock().lock();
    try {
      long encoding = library.encode(open(), text, special);
      try {
        return narrow(library.getTokenIds(encoding));
      } finally {
        library.deleteEncoding(encoding);
      }
    } finally {
      lifetime.readLock().unlock();
    }
  }

  /** Text of tokens, special tokens left out. */
  public String decode(int[] tokens) {
    lifetime.readLock().lock();
    try {
      return library.decode(open(), widen(tokens), true);
    } finally {
      lifetime.readLock().unlock();
    }
  }

  @Override
  public void close() {
    lifetime.writeLock().lock();
    try {
      if (handle != 0) {
        library.deleteTokenizer(handle);
        handle = 0;
      }
    } finally {
      lifetime.writeLock().unlock();
    }
  }

  private long open() {
    if (handle == 0) {
      throw new IllegalStateException("the tokenizer is closed");
    }
    return handle;
  }

  private static int[] narrow(long[] ids) {
    int[] tokens = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      tokens[i] = (int) ids[i];
    }
    return tokens;
  }

  private static long[] widen(int[] tokens) {
    long[] ids = new long[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      ids[i] = tokens[i];
    }
    return ids;
  }
}
