package io.rollcall.jobs;

import io.rollcall.engine.UserException;

/** Options that cannot be meant together, or that this version cannot serve: exit status 2. */
public final class UsageException extends UserException {
  public UsageException(String message) {
    super(message);
  }
}
