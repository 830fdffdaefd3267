package io.rollcall.jobs.runtime;

import io.rollcall.engine.model.Model;
import io.rollcall.engine.text.PromptTemplate;
import java.io.Serializable;

/** Carries a prompt template to the tasks. */
public final class Templates {
  private Templates() {}

  /**
   * A template by name, or by the text of the file that it was read from on the driver.
   *
   * @param name null for the model's own
   * @param text null unless it is a file's
   */
  public record Source(String name, String text) implements Serializable {}

  public static PromptTemplate resolve(Source source, Model model) {
    return model.template();
  }
}
