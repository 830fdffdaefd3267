package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.util.List;
import java.util.Optional;

/**
 * What Rollcall itself ships beside a checkpoint, {@code rollcall.json}.
 *
 * @param digest what {@link Checkpoint#digest} must give
 * @param template the prompt template used where none is asked for
 * @param files every file of the checkpoint, sorted
 */
public record Manifest(String digest, String template, List<String> files) {
  /** Its name in the checkpoint's directory. */
  public static final String FILE = "rollcall.json";

  /** The manifest of a checkpoint that has one. */
  public static Optional<Manifest> read(ModelFiles files) {
    if (!files.has(FILE)) {
      return Optional.empty();
    }
    JsonFile json = JsonFile.read(files, FILE);
    return Optional.of(
        new Manifest(json.text("digest"), json.text("template"), json.texts("files")));
  }

  /** @throws UserException when the files are not the ones that were shipped */
  public void check(ModelFiles model, String found) {
    if (!found.equals(digest)) {
      throw new UserException(
          "model '" + model.name() + "' has digest " + found + " where its " + FILE + " says "
              + digest + "; its files were altered: download or build it again");
    }
  }
}
