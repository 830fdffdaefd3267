// What the checks of this folder share: matrices and steps to try, what a union should be, and the verdicts.
// To be included after the kernels.
#pragma once

#include <memory>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "calls.cuh"
#include "known_union.cuh"
#include "weights.cuh"

namespace {

int wrong = 0;
std::mt19937 numbers(7);

float uniform() { return (numbers() >> 8) / 8388608.0f - 1; }

double silu(double x) { return x / (1 + std::exp(-x)); }

const char* name(Precision precision) {
  return precision == Precision::kF16 ? "f16" : precision == Precision::kInt8 ? "int8" : "int4";
}

void check(const std::string& what, double error, double most) {
  const bool right = error <= most;
  std::printf("%-72s %.1e %s\n", what.c_str(), error, right ? "right" : "WRONG");
  if (!right) wrong++;
}

// The larger of the two, or NaN.
double worse(double error, double computed, double expected) {
  const double difference = std::fabs(computed - expected);
  return difference <= error ? error : difference;
}

// Elements at an address that bulk copies take.
template <class Element>
struct Buffer {
  std::unique_ptr<char[]> bytes;
  Element* at;

  explicit Buffer(size_t count) : bytes(new char[count * sizeof(Element) + 128]()) {
    at = reinterpret_cast<Element*>((reinterpret_cast<uintptr_t>(bytes.get()) + 127) / 128 * 128);
#if defined(__SANITIZE_ADDRESS__)
    const char* end = reinterpret_cast<char*>(at + count);
    __asan_poison_memory_region(end, bytes.get() + count * sizeof(Element) + 128 - end);
#endif
  }
};

// A matrix as weights.cuh lays it out, and its values.
template <Precision kPrecision>
struct Matrix {
  int rows, columns;
  std::vector<float> values;
  Buffer<char> elements;
  Buffer<uint16_t> scales;

  Matrix(int rows, int columns)
      : rows(rows), columns(columns), values(static_cast<size_t>(rows) * columns),
        elements(values.size() * Format<kPrecision>::kBits / 8), scales(values.size() / 32) {
    for (size_t i = 0; i < values.size(); i++) {
      if (kPrecision == Precision::kF16) {
        const f16 value = static_cast<f16>(uniform() * 0.05f);
        values[i] = value;
        reinterpret_cast<f16*>(elements.at)[i] = value;
        continue;
      }
      constexpr int kLevels = kPrecision == Precision::kInt8 ? 256 : 16;
      if (i % 32 == 0) scales.at[i / 32] = bits_of(static_cast<f16>(0.05f * 2 / kLevels * (1 + 0.5f * uniform())));
      const int level = static_cast<int>(numbers() % kLevels) - kLevels / 2;
      values[i] = level * to_float(f16_of(scales.at[i / 32]));
      if (kPrecision == Precision::kInt8) {
        const int column = i % 16;
        elements.at[i / 16 * 16 + column % 8 / 2 * 4 + column % 2 * 2 + column / 8] = static_cast<char>(level);
      } else {
        const int column = i % 32, nibble = column % 2 * 4 + column / 8;
        reinterpret_cast<uint32_t*>(elements.at)[i / 32 * 4 + column % 8 / 2] |= static_cast<uint32_t>(level + 8) << 4 * nibble;
      }
    }
  }

  StreamedMatrix from(int row) const {
    return {elements.at + static_cast<size_t>(row) * Format<kPrecision>::row_bytes(columns),
            scales.at + static_cast<size_t>(row) * columns / 32, columns};
  }

  double dot(int row, const f16* x) const {
    double sum = 0;
    for (int k = 0; k < columns; k++)
      sum += static_cast<double>(values[static_cast<size_t>(row) * columns + k]) * to_float(x[k]);
    return sum;
  }

  // dot() of every row and each of the sequences, [rows x batch].
  std::vector<double> dots(const f16* x, int batch) const {
    std::vector<float> floats(x, x + static_cast<size_t>(batch) * columns);
    std::vector<double> sums(static_cast<size_t>(rows) * batch);
    for (int row = 0; row < rows; row++)
      for (int b = 0; b < batch; b++) {
        const float* w = values.data() + static_cast<size_t>(row) * columns;
        const float* of = floats.data() + static_cast<size_t>(b) * columns;
        double sum[4] = {};
        for (int k = 0; k < columns; k += 4)
          for (int i = 0; i < 4; i++) sum[i] += static_cast<double>(w[k + i]) * of[k + i];
        sums[static_cast<size_t>(row) * batch + b] = sum[0] + sum[1] + (sum[2] + sum[3]);
      }
    return sums;
  }
};

// A step of `batch` sequences, of which the second has ended where there are more than two.
struct Step {
  int batch;
  StepState state{};
  float threshold = 0;
  int dense_from;
  std::vector<int> records;

  Step(int batch, int neurons, bool crossed)
      : batch(batch), dense_from(crossed ? 1 : neurons + 1), records(2 * kRecordStride) {
    state.batch = batch;
    for (int b = 0; b < batch; b++) state.active[b] = batch > 2 && b == 1 ? 0 : 1;
    records[0] = crossed ? 1 : 0;
  }

  bool active(int b) const { return b < batch && state.active[b]; }
  int* record() { return records.data() + kRecordStride; }
  Calls calls(bool logits) { return {&state, &threshold, &dense_from, nullptr, record(), 0, 1, logits}; }

  // The threshold that a share of all scores is above.
  void choose(std::vector<double> scores, double share) {
    std::sort(scores.begin(), scores.end());
    const size_t at = static_cast<size_t>((1 - share) * scores.size());
    threshold = share >= 1 ? -1e9f : share <= 0 ? 1e9f : static_cast<float>(scores[at]);
  }
};

Buffer<f16> activations(int batch, int columns) {
  Buffer<f16> x(static_cast<size_t>(batch) * columns);
  for (size_t i = 0; i < static_cast<size_t>(batch) * columns; i++) x.at[i] = static_cast<f16>(uniform());
  return x;
}

// Scores and calls as they should be, and what a kernel made of them.
template <int kBatch>
struct Union {
  static constexpr double kMargin = 2e-3;
  int neurons;
  std::vector<double> scores;  // [neurons x batch]
  std::vector<uint32_t> bits;
  Buffer<f16> coefficients;
  int known[2] = {};

  explicit Union(int neurons)
      : neurons(neurons), bits(neurons / 32 + 1, 0xaaaaaaaau), coefficients(static_cast<size_t>(neurons) * kBatch) {}

  bool has(int neuron) const { return bits[neuron / 32] >> neuron % 32 & 1; }
  double score(int neuron, int b, int batch) const { return scores[static_cast<size_t>(neuron) * batch + b]; }

  bool calls(const Step& step, int neuron, int b, double margin = 0) const {
    return step.active(b) && score(neuron, b, step.batch) > step.threshold + margin;
  }
  // Whether a score is so near the threshold that it may fall on either side.
  bool close(const Step& step, int neuron, int b) const {
    return calls(step, neuron, b, -kMargin) && !calls(step, neuron, b, kMargin);
  }
  bool called(const Step& step, int neuron, double margin = 0) const {
    bool any = false;
    for (int b = 0; b < step.batch; b++) any |= calls(step, neuron, b, margin);
    return any;
  }

  // The number of wrong bits and counts. `sayers` have said that the union is known; where nobody has to, its
  // rows are not counted either.
  int mistakes(Step& step, bool every, int sayers) const {
    int mistakes = known[0] != sayers, count = 0;
    for (int i = 0; i < neurons; i++) {
      count += has(i);
      mistakes += has(i) ? !called(step, i, -kMargin) : called(step, i, kMargin);
    }
    mistakes += step.record()[0] != (sayers == 0 ? 0 : count);
    mistakes += step.record()[1] != (every ? 1 : 0);
    for (int b = 0; b < step.batch; b++) {
      int least = 0, most = 0;
      for (int i = 0; i < neurons; i++) least += calls(step, i, b, kMargin), most += calls(step, i, b, -kMargin);
      mistakes += step.record()[2 + b] < least || step.record()[2 + b] > most;
    }
    return mistakes;
  }

  // The largest error of the coefficients s(neuron, b) of neurons that were computed.
  template <class Coefficient>
  double error(const Step& step, bool own, bool every, const Coefficient& s) const {
    double error = 0;
    for (int i = 0; i < neurons; i++) {
      if (!has(i) && !every) continue;
      for (int b = 0; b < kBatch; b++) {
        if (own && close(step, i, b)) continue;
        const bool used = own ? calls(step, i, b) : step.active(b);
        error = worse(error, to_float(coefficients.at[i * kBatch + b]), used ? s(i, b) * kNeuronScale : 0);
      }
    }
    return error;
  }
};

// The largest error of y [splits x batch x d], which added up are the sum over neurons, those that have their
// bit or all, of s(neuron, b) and their row of `down`.
template <int kBatch, Precision kPrecision>
double error_of_sum(const Matrix<kPrecision>& down, const Buffer<f16>& s, const uint32_t* bits, int batch,
                    const std::vector<float>& y) {
  const int d = down.columns;
  std::vector<double> expected(static_cast<size_t>(batch) * d);
  for (int i = 0; i < down.rows; i++) {
    if (bits != nullptr && !(bits[i / 32] >> i % 32 & 1)) continue;
    for (int b = 0; b < batch; b++) {
      const double of = to_float(s.at[i * kBatch + b]) / static_cast<double>(kNeuronScale);
      for (int c = 0; c < d; c++)
        expected[static_cast<size_t>(b) * d + c] += of * down.values[static_cast<size_t>(i) * d + c];
    }
  }
  double error = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    double computed = 0;
    for (size_t at = i; at < y.size(); at += expected.size()) computed += y[at];
    error = worse(error, computed, expected[i]);
  }
  return error;
}

struct Shape {
  int batch, d, f, blocks;
  int cluster = 1;  // blocks each of them is
  std::string text() const {
    return "batch " + std::to_string(batch) + ", " + std::to_string(f) + " x " + std::to_string(d) + " on " +
           std::to_string(blocks) + (cluster > 1 ? " times " + std::to_string(cluster) : "");
  }
};

int verdict() {
  std::printf("%d wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
