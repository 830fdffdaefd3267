package io.rollcall.kernels.cuda

/** A step's state in device memory. */
object States {
  def upload(fixture: DeviceFixture)(fill: StepState => Unit): DeviceBuffer = {
    val pinned = fixture.context.allocatePinned(StepState.BYTES)
    try {
      val state = new StepState(pinned)
      state.clear()
      fill(state)
      state.begin()
      val buffer = fixture.allocate(StepState.BYTES)
      fixture.stream.upload(buffer, 0, pinned, 0, StepState.BYTES)
      fixture.stream.synchronize()
      buffer
    } finally pinned.close()
  }

  def download(fixture: DeviceFixture, buffer: DeviceBuffer): StepState =
    new StepState(
      java.nio.ByteBuffer.wrap(fixture.bytes(buffer, StepState.BYTES)).order(java.nio.ByteOrder.LITTLE_ENDIAN),
      0)
}
