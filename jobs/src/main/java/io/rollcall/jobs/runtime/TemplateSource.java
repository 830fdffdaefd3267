package io.rollcall.jobs.runtime;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.text.PromptTemplate;
import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;

/**
 * A prompt template on its way to the tasks.
 *
 * @param name raw, summarize, chat or a file; null for the model's own
 * @param text what the file holds; null unless it is one
 */
public record TemplateSource(String name, String text) implements Serializable {

  /** Reads the file, where {@code name} means one. */
  public static TemplateSource read(String name, Configuration configuration) {
    return name == null || !PromptTemplate.isFile(name)
        ? new TemplateSource(name, null)
        : new TemplateSource(name, TextFile.read("template", name, configuration));
  }

  /**
   * @param files of the checkpoint that {@code model} was read from
   * @throws io.rollcall.engine.UserException when the model cannot be prompted by it
   */
  public PromptTemplate of(Model model, ModelFiles files) {
    if (name == null) {
      return model.template();
    }
    return text == null
        ? PromptTemplate.of(name, files, model.tokenizer())
        : PromptTemplate.ofSource(name, text, files, model.tokenizer());
  }
}
