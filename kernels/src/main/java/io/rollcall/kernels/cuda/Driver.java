package io.rollcall.kernels.cuda;

import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import jcuda.JCudaVersion;
import jcuda.LibUtils;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.CUuuid;
import jcuda.driver.JCudaDriver;

/** The driver of this machine, looked up once: its devices, or why there are none. */
final class Driver {
  /** 1000 x major + 10 x minor, as the driver counts. */
  static final int OLDEST = 12000;

  private static final String NEEDED =
      "an NVIDIA driver of CUDA %s or newer is needed".formatted(versionName(OLDEST));

  /** Only in here may native code load: a machine without a driver never gets this far by loading a class. */
  private static final class Found {
    static final Driver DRIVER = look();
  }

  private final List<CudaDevice> devices;
  private final String problem;

  private Driver(List<CudaDevice> devices, String problem) {
    this.devices = devices;
    this.problem = problem;
  }

  static List<CudaDevice> devices() {
    return Found.DRIVER.devices;
  }

  static Optional<String> problem() {
    return Optional.ofNullable(Found.DRIVER.problem);
  }

  static String versionName(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }

  /** The name and the meaning of an error of the driver's. */
  static String describe(int code) {
    String[] meaning = {null};
    JCudaDriver.cuGetErrorString(code, meaning);
    String name = CUresult.stringFor(code);
    return meaning[0] == null ? name : name + " (" + meaning[0] + ")";
  }

  private static Driver none(String problem) {
    return new Driver(List.of(), problem);
  }

  private static Driver look() {
    try {
      NativeLibrary.getInstance(Libcuda.NAME);
    } catch (UnsatisfiedLinkError | NoClassDefFoundError e) {
      return none("no NVIDIA driver: %s cannot be loaded; %s".formatted(Libcuda.NAME, NEEDED));
    }
    try {
      placeJcuda();
      JCudaDriver.setExceptionsEnabled(false);
      return ask();
    } catch (IOException | LinkageError e) {
      String line = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      return none("JCuda's native library cannot be loaded: " + line);
    }
  }

  private static Driver ask() {
    int[] version = {0};
    if (JCudaDriver.cuDriverGetVersion(version) == 0) {
      Optional<String> tooOld = tooOld(version[0]);
      if (tooOld.isPresent()) {
        return none(tooOld.get());
      }
    }
    int code = JCudaDriver.cuInit(0);
    if (code == CUresult.CUDA_ERROR_NO_DEVICE) {
      return none("the NVIDIA driver sees no device (CUDA_VISIBLE_DEVICES hides those it does not list)");
    }
    int[] count = {0};
    if (code == 0) {
      code = JCudaDriver.cuDeviceGetCount(count);
    }
    if (code != 0) {
      return none("the NVIDIA driver does not start: " + describe(code));
    }
    List<CudaDevice> devices = new ArrayList<>();
    for (int ordinal = 0; ordinal < count[0]; ordinal++) {
      devices.add(describeDevice(ordinal, version[0]));
    }
    return devices.isEmpty()
        ? none("the NVIDIA driver sees no device")
        : new Driver(List.copyOf(devices), null);
  }

  /** Why a driver of this version is of no use; empty when it may be. */
  static Optional<String> tooOld(int version) {
    return version < OLDEST
        ? Optional.of("the NVIDIA driver is of CUDA %s; %s".formatted(versionName(version), NEEDED))
        : Optional.empty();
  }

  private static CudaDevice describeDevice(int ordinal, int driverVersion) {
    CUdevice device = new CUdevice();
    JCudaDriver.cuDeviceGet(device, ordinal);
    byte[] name = new byte[256];
    JCudaDriver.cuDeviceGetName(name, name.length, device);
    int length = 0;
    while (length < name.length && name[length] != 0) {
      length++;
    }
    CUuuid uuid = new CUuuid();
    JCudaDriver.cuDeviceGetUuid(uuid, device);
    long[] memory = {0};
    JCudaDriver.cuDeviceTotalMem(memory, device);
    return new CudaDevice(
        ordinal,
        new String(name, 0, length, java.nio.charset.StandardCharsets.UTF_8),
        uuidName(uuid.bytes),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        memory[0],
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        driverVersion);
  }

  private static int attribute(CUdevice device, int attribute) {
    int[] value = {0};
    JCudaDriver.cuDeviceGetAttribute(value, attribute, device);
    return value[0];
  }

  /** As nvidia-smi writes it: GPU-8-4-4-4-12 hexadecimal digits. */
  static String uuidName(byte[] bytes) {
    StringBuilder name = new StringBuilder("GPU");
    for (int i = 0; i < bytes.length; i++) {
      if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) {
        name.append('-');
      }
      name.append("%02x".formatted(bytes[i]));
    }
    return name.toString();
  }

  /**
   * JCuda unpacks its library to a fixed name in the temporary folder, unless a file is there. Two
   * executors that start together would find each other's file half written, so it is put there whole
   * first, and what is there already is compared.
   */
  private static void placeJcuda() throws IOException {
    String file =
        LibUtils.createLibraryFileName(
            LibUtils.createPlatformLibraryName("JCudaDriver-" + JCudaVersion.get()));
    byte[] library;
    try (InputStream resource = LibUtils.class.getResourceAsStream("/lib/" + file)) {
      if (resource == null) {
        throw new IOException("there is none for this platform: " + file);
      }
      library = resource.readAllBytes();
    }
    Path folder = Path.of(System.getProperty("java.io.tmpdir"));
    Path target = folder.resolve(file);
    if (Files.exists(target) && Arrays.equals(Files.readAllBytes(target), library)) {
      return;
    }
    Path whole = Files.createTempFile(folder, "rollcall-", ".so");
    try {
      Files.write(whole, library);
      Files.move(whole, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (FileAlreadyExistsException e) {
      throw new IOException(target + " is there with other contents; remove it", e);
    } finally {
      Files.deleteIfExists(whole);
    }
  }
}
