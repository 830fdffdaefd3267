package io.rollcall.jobs;
public final class Main { public static void main(String[] a){ System.out.println(java.util.Arrays.toString(a)+" "+System.getProperty("java.version")+" "+ModuleLayer.boot().findModule("jdk.incubator.vector")+new org.apache.spark.SparkConf().toDebugString()+Runtime.getRuntime().maxMemory()); System.exit(a.length);} }
