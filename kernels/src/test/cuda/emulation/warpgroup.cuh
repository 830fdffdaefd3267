// kernels' warpgroup.cuh, for simt.h. A warp's 16 rows of a product need nothing of the other three warps, so
// that each computes its own; b is read, and d written, no sooner than wait says that they have been.
#pragma once

#include "wgmma_operands.cuh"

// Element (k, n) of what a descriptor describes, whose address may go beyond the device's 14 bits: a block may
// have more columns here than there. Swizzles permute the 16-byte pieces of 128 or 64 bytes by the
// address's next bits from 128 on.
inline float wgmma_element(const simt::Product& product, int k, int n) {
  const uint32_t start = static_cast<uint32_t>(product.b & 0xffff) << 4;
  const uint32_t stride = static_cast<uint32_t>(product.b >> 32 & 0x3fff) << 4;
  const bool narrow = product.b >> 62 == 2;
  uint32_t at = product.transposed ? start + k / 8 * stride + k % 8 * (narrow ? 64 : 128) + n * 2
                                   : start + n / 8 * stride + n % 8 * 128 + k * 2;
  at ^= (at >> 7 & (narrow ? 3 : 7)) << 4;
  uint16_t bits;
  memcpy(&bits, shared + at, 2);
  return to_float(f16_of(bits));
}

// The oldest product of every lane.
inline void wgmma_compute(simt::Lane* lanes) {
  const simt::Product first = lanes[0].products.front();
  float left[16][16], right[64][16];
  for (int l = 0; l < kWarp; l++) {
    if (lanes[l].products.empty() || lanes[l].products.front().b != first.b)
      simt::fail("lanes of a warp ask for different products");
    const uint32_t(&a)[4] = lanes[l].products.front().a;
    for (int i = 0; i < 4; i++)
      for (int c = 0; c < 2; c++) left[l / 4 + i % 2 * 8][l % 4 * 2 + c + i / 2 * 8] = low_f16(a[i] >> 16 * c);
  }
  for (int n = 0; n < first.columns; n++)
    for (int k = 0; k < 16; k++) right[n][k] = wgmma_element(first, k, n);
  for (int l = 0; l < kWarp; l++) {
    float* d = lanes[l].products.front().d;
    for (int i = 0; i < first.columns / 2; i++) {
      const float* row = left[l / 4 + i / 2 % 2 * 8];
      const float* column = right[i / 4 * 8 + l % 4 * 2 + i % 2];
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += row[k] * column[k];
      d[i] += sum;
    }
    lanes[l].products.pop_front();
  }
}

inline void wgmma_writes_done() {}
inline void wgmma_fence() {}
inline void wgmma_commit() { simt::mine().committed++; }

// Products take a while now and then, in which other warps come to what they may do too early.
template <int kPending>
void wgmma_wait() {
  if (simt::lane() == 0 && simt::random() % 16 == 0)
    for (int turns = simt::random() % 64; turns > 0; turns--) simt::yield();
  simt::together(kAwaitProducts + kPending, [](simt::Lane* lanes) {
    while (!lanes[0].products.empty() && lanes[0].products.front().group < lanes[0].committed - kPending)
      wgmma_compute(lanes);
  });
}

template <int kSums>
void wgmma_pin(float (&)[kSums]) {}

template <int kTransposed = 0, int kSums>
void wgmma(float (&d)[kSums], const uint32_t (&a)[4], uint64_t b) {
  static_assert(kSums == 16 || kSums == 32, "32 or 64 columns");
  simt::Lane& lane = simt::mine();
  lane.products.push_back({{a[0], a[1], a[2], a[3]}, d, b, 2 * kSums, kTransposed != 0, lane.committed});
}
