package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.kernels.WeightType;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which checkpoint to load, at what precision, and what to compute with.
 *
 * @param name {@code builtin:NAME}, a local path, or a directory's URI on any Hadoop file system
 */
public record ModelSource(String name, WeightType weights, BackendChoice backend)
    implements Serializable {
  private static final Logger LOG = LoggerFactory.getLogger(ModelSource.class);

  /** The same, computed with on the CPU. */
  public ModelSource onCpu() {
    return new ModelSource(name, weights, BackendChoice.CPU);
  }

  /**
   * The checkpoint's files: local ones in place, so that they can be memory-mapped, remote ones
   * copied once to a temporary directory of this process.
   */
  ModelFiles files(Configuration configuration) {
    if (name.startsWith(ModelFiles.BUILTIN)) {
      return ModelFiles.locate(name);
    }
    try {
      org.apache.hadoop.fs.Path path = new org.apache.hadoop.fs.Path(name);
      FileSystem system = path.getFileSystem(configuration);
      return ModelFiles.directory(
          system instanceof LocalFileSystem local
              ? local.pathToFile(path).toPath()
              : stage(system, path));
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException("cannot read model '" + name + "': " + StorageErrors.line(e), e);
    }
  }

  private Path stage(FileSystem system, org.apache.hadoop.fs.Path remote) throws IOException {
    if (!system.exists(remote)) {
      throw new UserException("model '" + name + "' does not exist");
    }
    Path directory = Files.createTempDirectory("rollcall-model-");
    directory.toFile().deleteOnExit();
    LOG.info("Copying model {} to {}", name, directory);
    for (FileStatus file : system.listStatus(remote)) {
      if (file.isFile()) {
        Path copy = directory.resolve(file.getPath().getName());
        copy.toFile().deleteOnExit();
        system.copyToLocalFile(
            false, file.getPath(), new org.apache.hadoop.fs.Path(copy.toUri()), true);
      }
    }
    return directory;
  }
}
