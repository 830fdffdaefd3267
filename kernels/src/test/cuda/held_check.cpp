// What held.cu, held_predicted.cu and sum_stream.cu compute for up to 16 sequences, on the CPU (simt.h),
// against plain sums in f64. A line a case; the exit status is 1 if any is wrong.
#include "held.cu"
#include "held_predicted.cu"
#include "sum_stream.cu"

#include "check.h"

alignas(1024) thread_local char shared[232 << 10];

namespace {

constexpr int kHeldThreads = 512;
constexpr int kSumThreads = 320;

// ---- cases -----------------------------------------------------------------------------------------

template <Precision kPrecision, int kBatch>
void sum(const Matrix<kPrecision>& down, const Buffer<f16>& s, Step& step, const uint32_t* bits, int splits,
         const std::string& what) {
  const int d = down.columns, f = down.rows;
  std::vector<float> y(static_cast<size_t>(splits) * step.batch * d, NAN);
  const StreamedMatrix all = down.from(0);
  simt::run(divide_up(d, 256), splits, kSumThreads, [&] {
    sum_stream_of<kPrecision, kBatch>(all.elements, all.scales, s.at, f, d, step.batch, &step.state, step.record(), 0,
                                      1, bits, KnownUnion{nullptr}, 0, y.data());
  });
  check(what, error_of_sum<kBatch>(down, s, bits, step.batch, y), 2e-3);
}

template <Precision kPrecision, int kBatch>
void dense(const Shape& shape) {
  const auto [batch, d, f, blocks, cluster] = shape;
  const std::string what = std::string(name(kPrecision)) + ", " + shape.text();
  const Matrix<kPrecision> gate_up(2 * f, d), down(f, d);
  const Buffer<f16> x = activations(kBatch, d);
  const StreamedMatrix all = gate_up.from(0);
  Step step(batch, f, false);

  std::vector<float> y(static_cast<size_t>(batch) * 2 * f, NAN);
  simt::run(blocks, 1, kHeldThreads, [&, batch = batch, d = d, f = f] {
    held_project_of<kPrecision, kBatch>(all.elements, all.scales, x.at, 2 * f, d, batch, y.data());
  });
  Buffer<f16> hidden(y.size());
  simt::run(blocks, 1, kHeldThreads, [&, batch = batch, d = d, f = f] {
    held_hidden_of<kPrecision, kBatch>(all.elements, all.scales, x.at, 2 * f, d, batch, hidden.at);
  });
  double projected = 0, rounded = 0;
  for (int b = 0; b < batch; b++)
    for (int i = 0; i < 2 * f; i++) {
      const double expected = gate_up.dot(i, x.at + static_cast<size_t>(b) * d);
      projected = worse(projected, y[static_cast<size_t>(b) * 2 * f + i], expected);
      rounded = worse(rounded, to_float(hidden.at[static_cast<size_t>(b) * 2 * f + i]), expected);
    }
  check("project " + what, projected, 2e-3);
  check("hidden " + what, rounded, 4e-3);

  Buffer<f16> s(static_cast<size_t>(f) * kBatch);
  simt::run(blocks, 1, kHeldThreads, [&, batch = batch, d = d, f = f] {
    held_gate_up_of<kPrecision, kBatch>(all.elements, all.scales, x.at, f, d, batch, &step.state, kSilu, s.at);
  });
  double error = 0;
  for (int i = 0; i < f; i++)
    for (int b = 0; b < kBatch; b++) {
      const f16* of = x.at + static_cast<size_t>(b) * d;
      const double expected = step.active(b) ? silu(gate_up.dot(i, of)) * gate_up.dot(f + i, of) * kNeuronScale : 0;
      error = worse(error, to_float(s.at[i * kBatch + b]), expected);
    }
  check("gate and up " + what, error, 3e-4);
  sum<kPrecision, kBatch>(down, s, step, nullptr, 3, "sum " + what);
}

template <Precision kPrecision, int kBatch>
void united(const Shape& shape, Second kind, bool own, double share, bool crossed) {
  const auto [batch, d, f, blocks, cluster] = shape;
  const std::string what = std::string(name(kPrecision)) + (kind == Second::kGate ? " by up" : " by gate") +
                           (own ? ", own" : "") + (crossed ? ", crossed" : "") + ", " + shape.text();
  const Matrix<kPrecision> gate_up(2 * f, d), down(f, d);
  const Buffer<f16> x = activations(kBatch, d);
  Step step(batch, f, crossed);
  Union<kBatch> found(f);
  std::vector<double> gates, ups, of_active;
  for (int i = 0; i < f; i++)
    for (int b = 0; b < batch; b++) {
      gates.push_back(silu(gate_up.dot(i, x.at + static_cast<size_t>(b) * d)));
      ups.push_back(gate_up.dot(f + i, x.at + static_cast<size_t>(b) * d));
      found.scores.push_back(std::fabs(kind == Second::kGate ? ups.back() : gates.back()));
      if (step.active(b)) of_active.push_back(found.scores.back());
    }
  step.choose(of_active, share);
  const StreamedMatrix first = gate_up.from(kind == Second::kGate ? f : 0);
  const StreamedMatrix second = gate_up.from(kind == Second::kGate ? 0 : f);
  simt::run(blocks, 1, kHeldThreads, [&, batch = batch, f = f] {
    const HeldUnion<kPrecision, kBatch> held{first, second, f, batch, kSilu, own, kind, step.calls(false),
                                             reinterpret_cast<uint16_t*>(found.bits.data()), {found.known},
                                             found.coefficients.at};
    held.run(x.at);
  });
  const double error = found.mistakes(step, crossed, blocks) +
                       found.error(step, own, crossed, [&, batch = batch](int i, int b) {
                         return gates[i * batch + b] * ups[i * batch + b];
                       });
  check("union " + what, error, 3e-4);
  if (!crossed) sum<kPrecision, kBatch>(down, found.coefficients, step, found.bits.data(), 2, "sum of union " + what);
}

template <Precision kFactor, Precision kPrecision, int kBatch>
void predicted(const Shape& shape, int rank, bool folded, bool own, double share, bool crossed) {
  const auto [batch, d, f, blocks, cluster] = shape;
  const std::string what = std::string(name(kPrecision)) + " by " + name(kFactor) + " of rank " + std::to_string(rank) +
                           (folded ? ", folded" : "") + (own ? ", own" : "") + (crossed ? ", crossed" : "") + ", " +
                           shape.text();
  const Matrix<kPrecision> gate_up(2 * f, d);
  const Matrix<kFactor> factor(2 * f, rank);
  const Buffer<f16> x = activations(kBatch, d), z = activations(kBatch, rank);
  Step step(batch, f, crossed);
  Union<kBatch> found(f);
  std::vector<double> of_active;
  for (int i = 0; i < f; i++)
    for (int b = 0; b < batch; b++) {
      const f16* of = z.at + static_cast<size_t>(b) * rank;
      found.scores.push_back(factor.dot(i, of) + (folded ? std::fabs(factor.dot(f + i, of)) : 0));
      if (step.active(b)) of_active.push_back(found.scores.back());
    }
  step.choose(of_active, share);
  simt::run(blocks, 1, kHeldThreads, [&, batch = batch, f = f] {
    const HeldPredicted<kFactor, kPrecision, kBatch> held{
        factor.from(0), gate_up.from(0), f, batch, kSilu, own, folded, step.calls(true),
        reinterpret_cast<uint8_t*>(found.bits.data()), {found.known}, found.coefficients.at};
    held.run(z.at, x.at);
  });
  const double error = found.mistakes(step, crossed, blocks) +
                       found.error(step, own, crossed, [&, d = d, f = f](int i, int b) {
                         const f16* of = x.at + static_cast<size_t>(b) * d;
                         return silu(gate_up.dot(i, of)) * gate_up.dot(f + i, of);
                       });
  check("predicted " + what, error, 3e-4);
}

template <Precision kPrecision>
void all() {
  dense<kPrecision, 8>({1, 512, 192, 3});
  dense<kPrecision, 8>({5, 1280, 160, 2});
  dense<kPrecision, 16>({9, 512, 320, 4});
  dense<kPrecision, 16>({16, 2304, 96, 2});
  united<kPrecision, 8>({1, 512, 192, 3}, Second::kGate, false, 0.1, false);
  united<kPrecision, 8>({5, 1280, 160, 2}, Second::kGate, true, 0.3, false);
  united<kPrecision, 8>({8, 256, 416, 5}, Second::kUp, false, 1, false);
  united<kPrecision, 8>({3, 256, 96, 2}, Second::kUp, false, 0, false);
  united<kPrecision, 8>({8, 512, 224, 3}, Second::kGate, true, 0.2, true);
  united<kPrecision, 16>({16, 768, 192, 3}, Second::kGate, false, 0.1, false);
  united<kPrecision, 16>({9, 512, 320, 4}, Second::kUp, true, 0.5, false);
  united<kPrecision, 16>({16, 512, 224, 3}, Second::kUp, false, 0.2, true);
  united<kPrecision, 16>({12, 4096, 96, 1}, Second::kGate, true, 0.05, false);
  predicted<Precision::kInt4, kPrecision, 8>({1, 512, 192, 3}, 128, true, false, 0.1, false);
  predicted<Precision::kF16, kPrecision, 8>({7, 512, 160, 2}, 64, false, true, 0.3, false);
  predicted<Precision::kInt4, kPrecision, 8>({8, 256, 96, 2}, 128, false, false, 0, false);
  predicted<Precision::kInt8, kPrecision, 16>({16, 512, 160, 2}, 128, true, true, 0.3, false);
  predicted<Precision::kInt4, kPrecision, 16>({11, 768, 320, 3}, 640, true, false, 1, true);
}

}  // namespace

int main() {
  all<Precision::kF16>();
  all<Precision::kInt8>();
  all<Precision::kInt4>();
  return verdict();
}
