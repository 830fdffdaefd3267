package io.rollcall.jobs.report;

/**
 * What a report says first.
 *
 * @param page where it lies
 */
public record ReportResult(String page, String headline, String lead) {}
