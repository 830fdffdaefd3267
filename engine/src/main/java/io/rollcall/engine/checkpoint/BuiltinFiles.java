package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ref.SoftReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A checkpoint on the class path, its files named by its {@link Manifest}. A file of a jar can be
 * neither listed nor mapped portably, so its bytes are kept while memory allows and the ranges are
 * views of them.
 */
final class BuiltinFiles implements ModelFiles {
  private static final List<String> MODELS = List.of("summarizer-20m");
  private static final String ROOT = "/io/rollcall/models/";

  private final String model;
  private final List<String> files;
  private final Map<String, SoftReference<byte[]>> contents = new HashMap<>();

  private BuiltinFiles(String model, List<String> files) {
    this.model = model;
    this.files = files;
  }

  static BuiltinFiles open(String model) {
    if (!MODELS.contains(model)) {
      throw new UserException("no built-in model '" + model + "'; use " + names());
    }
    BuiltinFiles manifestOnly = new BuiltinFiles(model, List.of(Manifest.FILE));
    Manifest manifest = Manifest.read(manifestOnly).orElseThrow();
    return new BuiltinFiles(model, manifest.files());
  }

  /** The built-in models, as a user would name them. */
  static String names() {
    return MODELS.stream().map(BUILTIN::concat).collect(Collectors.joining(", "));
  }

  @Override
  public String name() {
    return BUILTIN + model;
  }

  @Override
  public List<String> list() {
    return files;
  }

  @Override
  public long size(String file) {
    return content(file).length;
  }

  @Override
  public byte[] read(String file) {
    return content(file).clone();
  }

  @Override
  public ByteBuffer map(String file, long offset, long length) {
    return ByteBuffer.wrap(content(file), Math.toIntExact(offset), Math.toIntExact(length))
        .slice()
        .asReadOnlyBuffer()
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  private synchronized byte[] content(String file) {
    if (!has(file)) {
      throw new UserException("model '" + name() + "' has no " + file);
    }
    SoftReference<byte[]> kept = contents.get(file);
    byte[] bytes = kept == null ? null : kept.get();
    if (bytes == null) {
      bytes = load(file);
      contents.put(file, new SoftReference<>(bytes));
    }
    return bytes;
  }

  private byte[] load(String file) {
    String resource = ROOT + model + "/" + file;
    try (InputStream in = BuiltinFiles.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new UserException(
            "the engine's jar has no " + resource + "; build or download the jar again");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UserException("cannot read " + resource + " in the engine's jar: " + e, e);
    }
  }
}
