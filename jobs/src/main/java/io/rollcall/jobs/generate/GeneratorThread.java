package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.EncodedPrompt;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.Generator;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.function.Function;

/**
 * A generator in a thread of its own, so that what computes does not wait while the task reads and
 * encodes prompts and writes rows. Prompts are read by the task's thread, as Spark's iterators want it,
 * in {@link #next()}; a bounded number of them, and of generations, waits for the other thread, which is
 * woken once for a handful of them. The generator meets the same prompts in the same order as it would
 * in the task's thread.
 */
final class GeneratorThread implements AutoCloseable {
  private static final long CHECK_MILLIS = 500;
  /** That may wait. A thread is woken for one: to wake it for each prompt costs the other time. */
  private static final int HANDFULS = 16;

  private final Iterator<EncodedPrompt> source;
  private final int ahead;
  private final int handful;
  private final Runnable check;
  private final Generator generator;
  private final Thread thread;

  private final Object lock = new Object();
  // guarded by the lock
  private final ArrayDeque<EncodedPrompt> prompts = new ArrayDeque<>();
  private final ArrayDeque<Generation> generations = new ArrayDeque<>();
  private boolean exhausted;
  private boolean ended;
  private boolean closed;
  private Throwable failure;

  /**
   * Starts the thread.
   *
   * @param source read by the thread that calls {@link #next()}
   * @param ahead most prompts, and most generations, that wait
   * @param name the thread's
   * @param check called now and then by the thread that waits for a generation; throws to give up
   * @param generator makes the generator of the prompts it is given; closed with this
   */
  GeneratorThread(
      Iterator<EncodedPrompt> source,
      int ahead,
      String name,
      Runnable check,
      Function<Iterator<EncodedPrompt>, Generator> generator) {
    this.source = source;
    this.ahead = ahead;
    this.handful = Math.max(1, ahead / HANDFULS);
    this.check = check;
    this.generator = generator.apply(new Prompts());
    thread = new Thread(this::run, name);
    thread.setDaemon(true);
    thread.start();
  }

  /** For its device, times and density at any time, and for its statistics after the last generation. */
  Generator generator() {
    return generator;
  }

  /** The next generation, or null after the last. */
  Generation next() {
    while (true) {
      read();
      synchronized (lock) {
        if (!generations.isEmpty()) {
          Generation generation = generations.remove();
          wakeAt(ahead - generations.size());
          return generation;
        }
        if (failure instanceof Error error) {
          throw error;
        }
        if (failure instanceof RuntimeException exception) {
          throw exception;
        }
        if (ended) {
          return null;
        }
        if (exhausted || prompts.size() >= ahead) {
          await();
        }
      }
      check.run();
    }
  }

  /** Reads prompts while there is room for them. The lock is not held, for reading may take long. */
  private void read() {
    while (wanted()) {
      EncodedPrompt prompt = source.hasNext() ? source.next() : null;
      synchronized (lock) {
        if (prompt == null) {
          exhausted = true;
          lock.notifyAll();
        } else {
          prompts.add(prompt);
          wakeAt(prompts.size());
        }
      }
    }
  }

  private boolean wanted() {
    synchronized (lock) {
      return !exhausted && !ended && prompts.size() < ahead;
    }
  }

  private void run() {
    try {
      while (generator.hasNext()) {
        hand(generator.next());
      }
    } catch (CancellationException e) {
      // closed: nobody asks any more
    } catch (Throwable e) {
      synchronized (lock) {
        failure = e;
      }
    } finally {
      synchronized (lock) {
        ended = true;
        lock.notifyAll();
      }
    }
  }

  private void hand(Generation generation) {
    synchronized (lock) {
      while (generations.size() >= ahead && !closed) {
        await();
      }
      requireOpen();
      generations.add(generation);
      wakeAt(generations.size());
    }
  }

  /** The prompts as the generator's thread sees them. */
  private final class Prompts implements Iterator<EncodedPrompt> {
    @Override
    public boolean hasNext() {
      synchronized (lock) {
        while (prompts.isEmpty() && !exhausted && !closed) {
          await();
        }
        requireOpen();
        return !prompts.isEmpty();
      }
    }

    @Override
    public EncodedPrompt next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      synchronized (lock) {
        EncodedPrompt prompt = prompts.remove();
        wakeAt(ahead - prompts.size());
        return prompt;
      }
    }
  }

  /** Wakes the other thread, if it waits, once so many are there to take, or places free to fill. */
  private void wakeAt(int there) {
    if (there >= handful) {
      lock.notifyAll();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new CancellationException();
    }
  }

  /** Returns now and then without reason, for a killed task to notice. */
  private void await() {
    try {
      lock.wait(CHECK_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      check.run();
      throw new CancellationException("interrupted while waiting for the generator");
    }
  }

  /** Ends the thread after the generation it is at, and closes the generator. */
  @Override
  public void close() {
    synchronized (lock) {
      closed = true;
      lock.notifyAll();
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    generator.close();
  }
}
