/** Prints the Java options that Spark needs. */
public class SparkOptions {
  public static void main(String[] arguments) {
    System.out.println(org.apache.spark.launcher.JavaModuleOptions.defaultModuleOptions());
  }
}
