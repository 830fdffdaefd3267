package io.rollcall.jobs.generate;

import java.util.List;
import java.util.function.Supplier;

/**
 * Prompts to calibrate with, fetched only when needed.
 *
 * @param corpus what to call them in the profile
 */
record CalibrationSample(String corpus, Supplier<List<String>> prompts) {}
