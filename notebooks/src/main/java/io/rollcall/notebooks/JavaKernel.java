package io.rollcall.notebooks;

import io.rollcall.jobs.Version;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import jdk.jshell.SourceCodeAnalysis.Suggestion;
import jdk.jshell.execution.DirectExecutionControl;
import jdk.jshell.spi.ExecutionControl;
import jdk.jshell.spi.ExecutionControlProvider;
import jdk.jshell.spi.ExecutionEnv;
import org.dflib.jjava.jupyter.channels.JupyterConnection;
import org.dflib.jjava.jupyter.kernel.BaseKernel;
import org.dflib.jjava.jupyter.kernel.BaseKernelBuilder;
import org.dflib.jjava.jupyter.kernel.JupyterIO;
import org.dflib.jjava.jupyter.kernel.KernelConnectionProperties;
import org.dflib.jjava.jupyter.kernel.LanguageInfo;
import org.dflib.jjava.jupyter.kernel.ReplacementOptions;
import org.dflib.jjava.jupyter.kernel.comm.CommManager;
import org.dflib.jjava.jupyter.kernel.display.DisplayData;
import org.dflib.jjava.jupyter.kernel.display.Renderer;
import org.dflib.jjava.jupyter.kernel.magic.MagicsRegistry;
import org.dflib.jjava.jupyter.kernel.util.StringStyler;

/**
 * A Jupyter kernel for Java: JShell runs the cells in this process, where Spark and Rollcall are on the
 * class path; JJava's library speaks Jupyter's protocol.
 */
public final class JavaKernel extends BaseKernel {
  /** As the jshell command has them. */
  private static final List<String> IMPORTS =
      List.of(
          "java.io.*", "java.math.*", "java.nio.file.*", "java.util.*", "java.util.function.*",
          "java.util.stream.*");

  private final Control control = new Control();
  private final JShell shell;

  private JavaKernel(Builder b) {
    super(
        "Rollcall Java",
        Version.current(),
        new LanguageInfo.Builder("java")
            .version(Runtime.version().toString())
            .mimetype("text/x-java-source")
            .fileExtension(".jshell")
            .pygments("java")
            .codemirror("text/x-java")
            .build(),
        List.of(),
        null,
        b.io(),
        b.comms(),
        b.displays(),
        null,
        b.magics(),
        false,
        b.errors());
    shell =
        JShell.builder()
            .executionEngine(new Provider(control), Map.of())
            .out(System.out)
            .err(System.err)
            .build();
    shell.addToClasspath(System.getProperty("java.class.path"));
    IMPORTS.forEach(name -> shell.eval("import " + name + ";"));
  }

  static JavaKernel create() {
    return new Builder().build();
  }

  /** @param arguments the connection file that Jupyter names */
  public static void main(String[] arguments) throws Exception {
    JavaKernel kernel = create();
    kernel.onStartup();
    JupyterConnection connection =
        new JupyterConnection(
            KernelConnectionProperties.parse(
                Files.readString(Path.of(arguments[0]), StandardCharsets.UTF_8)));
    kernel.becomeHandlerForConnection(connection);
    connection.connect();
    connection.waitUntilClose();
    // Spark leaves threads behind
    System.exit(0);
  }

  /** The value of a cell's last expression; null where it has none. */
  @Override
  public Object evalRaw(String source) {
    String rest = source;
    control.last = null;
    while (!rest.isBlank()) {
      CompletionInfo next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
      if (!next.completeness().isComplete()) {
        throw new IllegalArgumentException("the cell ends within a statement: " + rest.strip());
      }
      control.last = null;
      for (SnippetEvent event : shell.eval(next.source())) {
        require(event);
        if (!hasValue(event.snippet())) {
          control.last = null;
        }
      }
      rest = next.remaining();
    }
    return control.last;
  }

  /** Declarations and assignments have one too, which nobody asked to see. */
  private static boolean hasValue(Snippet snippet) {
    return switch (snippet.subKind()) {
      case TEMP_VAR_EXPRESSION_SUBKIND, VAR_VALUE_SUBKIND, OTHER_EXPRESSION_SUBKIND -> true;
      default -> false;
    };
  }

  private void require(SnippetEvent event) {
    if (event.exception() instanceof EvalException e) {
      throw new IllegalStateException(e.getExceptionClassName() + ": " + e.getMessage(), control.thrown);
    }
    if (event.status() == Snippet.Status.REJECTED) {
      throw new IllegalArgumentException(
          shell
              .diagnostics(event.snippet())
              .filter(Diag::isError)
              .map(diagnosis -> diagnosis.getMessage(null))
              .collect(Collectors.joining("; "))
              + " in: "
              + event.snippet().source().strip());
    }
  }

  @Override
  public DisplayData inspect(String code, int at, boolean extraDetail) {
    String text =
        shell.sourceCodeAnalysis().documentation(code, at, false).stream()
            .map(SourceCodeAnalysis.Documentation::signature)
            .collect(Collectors.joining("\n"));
    return text.isEmpty() ? null : new DisplayData(text);
  }

  @Override
  public ReplacementOptions complete(String code, int at) {
    int[] anchor = {at};
    Set<String> words = new LinkedHashSet<>();
    for (Suggestion suggestion :
        shell.sourceCodeAnalysis().completionSuggestions(code, at, anchor)) {
      words.add(suggestion.continuation());
    }
    return new ReplacementOptions(new ArrayList<>(words), anchor[0], at);
  }

  @Override
  public String isComplete(String code) {
    return switch (shell.sourceCodeAnalysis().analyzeCompletion(code).completeness()) {
      case COMPLETE, COMPLETE_WITH_SEMI, EMPTY -> IS_COMPLETE_YES;
      case DEFINITELY_INCOMPLETE, CONSIDERED_INCOMPLETE -> "  ";
      case UNKNOWN -> IS_COMPLETE_BAD;
    };
  }

  @Override
  public void onShutdown(boolean isRestarting) {
    super.onShutdown(isRestarting);
    shell.close();
  }

  /** Runs snippets in this process and keeps the values that JShell would only print. */
  private static final class Control extends DirectExecutionControl {
    private Object last;
    private Throwable thrown;

    @Override
    protected String invoke(Method snippet) throws Exception {
      try {
        last = snippet.invoke(null);
        return valueString(last);
      } catch (InvocationTargetException e) {
        thrown = e.getCause();
        throw e;
      }
    }
  }

  private record Provider(Control control) implements ExecutionControlProvider {
    @Override
    public String name() {
      return "rollcall";
    }

    @Override
    public ExecutionControl generate(ExecutionEnv environment, Map<String, String> parameters) {
      return control;
    }
  }

  private static final class Builder extends BaseKernelBuilder<Builder, JavaKernel> {
    @Override
    public JavaKernel build() {
      return new JavaKernel(this);
    }

    JupyterIO io() {
      return buildJupyterIO(buildJupyterIOEncoding());
    }

    CommManager comms() {
      return buildCommManager();
    }

    Renderer displays() {
      return buildRenderer();
    }

    MagicsRegistry magics() {
      return buildMagicsRegistry();
    }

    StringStyler errors() {
      return buildErrorStyler();
    }
  }
}
