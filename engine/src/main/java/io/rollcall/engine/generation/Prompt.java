package io.rollcall.engine.generation;

/**
 * One row to answer.
 *
 * @param id names the row; sampling's random stream depends on it and the seed alone
 * @param text what the template wraps; null or blank gives an error row
 */
public record Prompt(String id, String text) {}
