package io.rollcall.kernels.cuda;

import jcuda.NativePointerObject;

/** The native address that a JCuda object keeps to itself and its subclasses. */
final class Handle extends NativePointerObject {
  private Handle(NativePointerObject object) {
    super(object);
  }

  static long of(NativePointerObject object) {
    return new Handle(object).getNativePointer();
  }
}
