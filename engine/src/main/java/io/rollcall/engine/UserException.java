package io.rollcall.engine;

/**
 * Something a user gave is wrong. The message stands alone: it names the thing and its value and
 * says what to do, in one line.
 */
public class UserException extends RuntimeException {
  public UserException(String message) {
    super(message);
  }

  public UserException(String message, Throwable cause) {
    super(message, cause);
  }
}
