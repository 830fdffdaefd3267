package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.sparsity.SparsityProfile;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** A profile as files: its JSON, and its tensors in a safetensors file beside it. */
public final class ProfileFiles {
  private final String output;
  private final String tensors;
  private final String what;
  private final Configuration configuration;

  /**
   * Those of a profile to be written: the tensors' file has the JSON's name.
   *
   * @param output the JSON's file
   * @param what the tensors are, for messages
   * @throws UserException when the output is no path
   */
  public ProfileFiles(String output, String what, Configuration configuration) {
    this.output = output;
    this.what = what;
    this.configuration = configuration;
    try {
      tensors = new Path(new Path(output).getParent(), tensorsName()).toString();
    } catch (IllegalArgumentException e) {
      throw new UserException(
          "cannot write profile '" + output + "': " + StorageErrors.line(e)
              + "; give a path without colons after its scheme",
          e);
    }
  }

  /**
   * Reads a profile.
   *
   * @param path the JSON's file, which names the tensors'; or one that ships with a built-in model,
   *     {@code builtin:MODEL/FILE}
   * @throws UserException when it is not one, or not of this model
   */
  public static SparsityProfile read(String path, Model model, Configuration configuration) {
    SparsityProfile profile =
        path.startsWith(ModelFiles.BUILTIN)
            ? builtin(path)
            : SparsityProfile.fromJson(
                TextFile.read("profile", path, configuration),
                path,
                file -> TextFile.sibling("profile tensors", path, file, configuration));
    profile.requireFits(model);
    return profile;
  }

  private static SparsityProfile builtin(String path) {
    int slash = path.lastIndexOf('/');
    if (slash < 0) {
      throw new UserException(
          "profile '" + path + "' names no file; give builtin:MODEL/FILE, "
              + path + "/sparsity_profile.json say");
    }
    return new OwnProfiles(ModelFiles.locate(path.substring(0, slash)))
        .read(path.substring(slash + 1));
  }

  /** Plain name of the safetensors file. */
  public String tensorsName() {
    String name = output.substring(output.lastIndexOf('/') + 1);
    return (name.endsWith(".json") ? name.substring(0, name.length() - 5) : name) + ".safetensors";
  }

  /** Path of the safetensors file. */
  public String tensors() {
    return tensors;
  }

  /**
   * Before work that takes long.
   *
   * @throws UserException when one of the files exists, or could not be written
   */
  public void requireNew() {
    requireAbsent("output", output);
    requireAbsent(what, tensors);
    TextFile.requireWritable("output", output, configuration);
  }

  private void requireAbsent(String what, String path) {
    if (TextFile.exists(what, path, configuration)) {
      throw new UserException(
          what + " '" + path + "' exists already; delete it or choose another --output");
    }
  }

  /**
   * Writes both, the tensors first; the JSON alone where there are none.
   *
   * @throws UserException when one cannot be written
   */
  public void write(SparsityProfile profile) {
    if (profile.hasTensors()) {
      TextFile.write(what, tensors, profile.tensors(), configuration);
    }
    byte[] json = (profile.toJson() + "\n").getBytes(StandardCharsets.UTF_8);
    TextFile.write("output", output, json, configuration);
  }
}
