package io.rollcall.jobs.runtime;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The profiles that a model directory may bring: {@code sparsity_profile.json}, which applies where
 * nothing else was asked for, and {@code sparsity_profile.METHOD.json} of other methods.
 */
public record OwnProfiles(ModelFiles files) {
  private static final String NAME = "sparsity_profile";
  private static final String ENDING = ".json";

  /**
   * The first that is what was asked for.
   *
   * @param method null for any
   * @param union null for any
   */
  public Optional<SparsityProfile> find(Method method, UnionStrategy union) {
    return names().stream()
        .filter(name -> method == null || name.equals(NAME + ENDING) || name.equals(of(method)))
        .map(this::read)
        .filter(
            profile ->
                (method == null || profile.method() == method)
                    && (union == null || profile.union().equals(union)))
        .findFirst();
  }

  /**
   * Reads one.
   *
   * @param name plain name of its file
   * @throws io.rollcall.engine.UserException when there is none, or it is not a profile
   */
  public SparsityProfile read(String name) {
    String json = new String(files.read(name), StandardCharsets.UTF_8);
    return SparsityProfile.fromJson(json, files.name() + "/" + name, files::read);
  }

  /** Their files' names, that of what applies unasked first. */
  private List<String> names() {
    Stream<String> others =
        files.list().stream()
            .filter(name -> name.startsWith(NAME + ".") && name.endsWith(ENDING))
            .filter(name -> !name.equals(NAME + ENDING))
            .sorted();
    return Stream.concat(Stream.of(NAME + ENDING).filter(files::has), others).toList();
  }

  private static String of(Method method) {
    return NAME + "." + method + ENDING;
  }
}
