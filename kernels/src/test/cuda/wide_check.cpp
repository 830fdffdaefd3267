// What wide.cu and wide_sum.cu compute for up to 64 sequences, on the CPU (simt.h), by blocks that are clusters of
// their own and by larger ones, against plain sums in f64. A line a case; the exit status is 1 if any is wrong.
#include "wide.cu"
#include "wide_sum.cu"

#include "check.h"

// More than a device has: a block holds all columns.
alignas(1024) thread_local char shared[1 << 20];

namespace {

constexpr int kWideThreads = 448;
constexpr int kUnionThreads = 480;
constexpr int kSumThreads = 384;
constexpr int kSumStages = 3;
constexpr int kSharedBytes = 227 << 10;
constexpr int kLeastStages = 2;
constexpr int kMostStages = 12;

// Of a ring, beside the activations of so many columns, about as WideShape.java has it. Of 64 sequences few, so
// that rings of short rows go round too.
template <Precision kWidest, int kBatch>
int stages(int columns) {
  const int left = kSharedBytes - 2 * kBatch * 64 * 4 - columns * kBatch * 2 - (4 << 10);
  const int most = kBatch == 64 ? kLeastStages + 1 : kMostStages;
  return min(max(left / (2 * 64 * (128 + Format<kWidest>::kScaleBytes)), kLeastStages), most);
}

// What a block finds in shared memory at its start is of no use to it: NaN, as f16 and as f32.
template <class Kernel>
void launch(int clusters, int cluster, int splits, int threads, const Kernel& kernel) {
  simt::run(clusters * cluster, splits, cluster, threads, [] { memset(shared, 0xff, sizeof(shared)); }, kernel);
}

// Errors grow with the columns that sums are over: those of products, of coefficients, which are two products'
// product, and of what is summed over coefficients.
double most(int columns) { return 5e-5 * std::sqrt(columns); }
double most_of_neuron(int columns) { return 1e-7 * columns; }
double most_of_sum(int columns) { return 4e-7 * columns; }

// ---- cases -----------------------------------------------------------------------------------------

template <Precision kPrecision, int kBatch>
void sum(const Matrix<kPrecision>& down, const Buffer<f16>& s, Step& step, const uint32_t* bits, int splits,
         int d_of_s, const std::string& what) {
  const int d = down.columns, f = down.rows, batch = step.batch;
  std::vector<float> y(static_cast<size_t>(splits) * batch * d, NAN);
  const StreamedMatrix all = down.from(0);
  launch(divide_up(d, 256), 1, splits, kSumThreads, [&] {
    wide_sum_of<kPrecision, kBatch>(all.elements, all.scales, s.at, f, d, batch, &step.state, step.record(), 0, 1, bits,
                                    KnownUnion{nullptr}, 0, kSumStages, y.data());
  });
  check(what, error_of_sum<kBatch>(down, s, bits, batch, y), most_of_sum(d_of_s));
}

// Rows need not be whole groups of 16.
template <Precision kPrecision, int kBatch>
void projected(const Shape& shape) {
  const auto [batch, d, rows, blocks, cluster] = shape;
  const Matrix<kPrecision> matrix(rows, d);
  const Buffer<f16> x = activations(kBatch, d);
  const StreamedMatrix all = matrix.from(0);
  std::vector<float> y(static_cast<size_t>(batch) * rows, NAN);
  launch(blocks, cluster, 1, kWideThreads, [&, batch = batch, d = d, rows = rows] {
    wide_project_of<kPrecision, kBatch>(all, x.at, rows, batch, stages<kPrecision, kBatch>(d), y.data());
  });
  const std::vector<double> expected = matrix.dots(x.at, batch);
  double error = 0;
  for (int i = 0; i < rows; i++)
    for (int b = 0; b < batch; b++)
      error = worse(error, y[static_cast<size_t>(b) * rows + i], expected[static_cast<size_t>(i) * batch + b]);
  check("project " + std::string(name(kPrecision)) + ", " + shape.text(), error, most(d));
}

// Queries, and keys and values in pages; four heads share a key's.
template <Precision kPrecision, int kBatch>
void rotated(int batch, int d, int kv_heads, int head_size, int blocks, int cluster = 1) {
  constexpr int kContext = 2 * kPagePositions;
  const int heads = 4 * kv_heads, half = head_size / 2, rows = (heads + 2 * kv_heads) * head_size;
  const Matrix<kPrecision> matrix(rows, d);
  const Buffer<f16> x = activations(kBatch, d);
  Step step(batch, 0, false);
  std::vector<float> cosines, sines;
  for (int i = 0; i < kContext * half; i++) {
    cosines.push_back(std::cos(0.1f * i));
    sines.push_back(std::sin(0.1f * i));
  }
  std::vector<int> pages(2 * batch);
  for (int i = 0; i < 2 * batch; i++) pages[i] = i;
  std::shuffle(pages.begin(), pages.end(), numbers);
  for (int b = 0; b < batch; b++) {
    step.state.slot[b] = batch - 1 - b;
    step.state.position[b] = numbers() % kContext;
  }
  std::vector<f16> queries(static_cast<size_t>(batch) * heads * head_size);
  std::vector<f16> keys(pages.size() * kv_heads * kPagePositions * head_size), values(keys.size());
  const Heads to{&step.state,  heads, kv_heads,    head_size,     cosines.data(), sines.data(),
                 pages.data(), 2,     keys.data(), values.data(), queries.data()};
  const StreamedMatrix all = matrix.from(0);
  launch(blocks, cluster, 1, kWideThreads, [&] {
    wide_qkv_of<kPrecision, kBatch>(all, x.at, batch, stages<kPrecision, kBatch>(d), to);
  });
  const std::vector<double> products = matrix.dots(x.at, batch);
  double error = 0;
  for (int b = 0; b < batch; b++)
    for (int head = 0; head < heads + 2 * kv_heads; head++)
      for (int i = 0; i < head_size; i++) {
        const int position = step.state.position[b], first = head * head_size + i % half;
        const int page = pages[step.state.slot[b] * 2 + position / kPagePositions];
        const double low = products[first * batch + b], high = products[(first + half) * batch + b];
        const double cosine = cosines[position * half + i % half], sine = sines[position * half + i % half];
        const size_t in_pool =
            ((static_cast<size_t>(page) * kv_heads + head % kv_heads) * kPagePositions + position % kPagePositions) *
                head_size + i;
        double expected = i < half ? low * cosine - high * sine : high * cosine + low * sine;
        if (head >= heads + kv_heads) expected = i < half ? low : high;
        const f16 computed = head < heads ? queries[(static_cast<size_t>(b) * heads + head) * head_size + i]
                                          : (head < heads + kv_heads ? keys : values)[in_pool];
        error = worse(error, to_float(computed), step.active(b) ? expected : 0);
      }
  check("heads " + std::string(name(kPrecision)) + ", " + Shape{batch, d, rows, blocks, cluster}.text(), error, 2 * most(d));
}

template <Precision kPrecision, int kBatch>
void dense(const Shape& shape) {
  const auto [batch, d, f, blocks, cluster] = shape;
  const std::string what = std::string(name(kPrecision)) + ", " + shape.text();
  const Matrix<kPrecision> gate_up(2 * f, d), down(f, d);
  const Buffer<f16> x = activations(kBatch, d);
  const StreamedMatrix all = gate_up.from(0);
  const std::vector<double> products = gate_up.dots(x.at, batch);
  Step step(batch, f, false);

  Buffer<f16> hidden(static_cast<size_t>(batch) * 2 * f);
  launch(blocks, cluster, 1, kWideThreads, [&, batch = batch, d = d, f = f] {
    wide_hidden_of<kPrecision, kBatch>(all, x.at, 2 * f, batch, stages<kPrecision, kBatch>(d), hidden.at);
  });
  double rounded = 0;
  for (int b = 0; b < batch; b++)
    for (int i = 0; i < 2 * f; i++)
      rounded = worse(rounded, to_float(hidden.at[static_cast<size_t>(b) * 2 * f + i]),
                      products[static_cast<size_t>(i) * batch + b]);
  check("hidden " + what, rounded, 2 * most(d));

  Buffer<f16> s(static_cast<size_t>(f) * kBatch);
  launch(blocks, cluster, 1, kWideThreads, [&, batch = batch, d = d, f = f] {
    wide_gate_up_of<kPrecision, kBatch>(all, x.at, f, batch, stages<kPrecision, kBatch>(d), &step.state, kSilu, s.at);
  });
  double error = 0;
  for (int i = 0; i < f; i++)
    for (int b = 0; b < kBatch; b++) {
      const double expected =
          step.active(b) ? silu(products[i * batch + b]) * products[(f + i) * batch + b] * kNeuronScale : 0;
      error = worse(error, to_float(s.at[i * kBatch + b]), expected);
    }
  check("gate and up " + what, error, most_of_neuron(d));
  sum<kPrecision, kBatch>(down, s, step, nullptr, 2, d, "sum " + what);
}

enum class How {
  kUnion,     // scores, calls and the other product at once
  kAlone,     // scores and calls, then the other product over the union
  kGathered,  // that one over a union that is given
};

// A sparse feed-forward: kGate by up, kUp by gate, kBoth by a predictor of this rank, f16.
template <Precision kFirst, Precision kPrecision, int kBatch>
void sparse(const Shape& shape, Second kind, How how, bool own, double share, bool crossed, int rank) {
  const auto [batch, d, f, blocks, cluster] = shape;
  const bool predicted = kind == Second::kBoth;
  const std::string what =
      std::string(name(kPrecision)) +
      (predicted ? " by predictor of rank " + std::to_string(rank) : kind == Second::kGate ? " by up" : " by gate") +
      (own ? ", own" : "") + (crossed ? ", crossed" : "") + ", " + shape.text();
  const Matrix<kPrecision> gate_up(2 * f, d);
  const Matrix<kFirst> factor(predicted ? f : 0, rank);
  const Buffer<f16> x = activations(kBatch, d), z = activations(kBatch, rank);
  Step step(batch, f, crossed);
  Union<kBatch> found(f);
  std::vector<double> of_active;
  const std::vector<double> products = gate_up.dots(x.at, batch), predictions = factor.dots(z.at, batch);
  const auto s = [&, batch = batch, f = f](int i, int b) {
    return silu(products[i * batch + b]) * products[(f + i) * batch + b];
  };
  Buffer<float> scores(static_cast<size_t>(f) * kBatch);
  for (int i = 0; i < f; i++)
    for (int b = 0; b < batch; b++) {
      const double gate = silu(products[i * batch + b]), up = products[(f + i) * batch + b];
      const double score = predicted ? predictions[i * batch + b] : kind == Second::kGate ? up : gate;
      found.scores.push_back(predicted ? score : std::fabs(score));
      if (step.active(b)) of_active.push_back(found.scores.back());
      scores.at[i * kBatch + b] = how == How::kGathered ? static_cast<float>(score) : NAN;
    }
  step.choose(of_active, share);

  const StreamedMatrix second = gate_up.from(kind == Second::kUp ? f : 0);
  if (how == How::kGathered) {
    found.bits.assign(found.bits.size(), 0);
    for (int i = 0; i < f; i++) found.bits[i / 32] |= static_cast<uint32_t>(found.called(step, i)) << i % 32;
  } else {
    const StreamedMatrix first = predicted ? factor.from(0) : gate_up.from(kind == Second::kGate ? f : 0);
    const f16* first_x = predicted ? z.at : x.at;
    const bool alone = how == How::kAlone;
    const int held = first.columns + (predicted && !alone ? d : 0);
    launch(blocks, cluster, 1, kUnionThreads, [&, batch = batch, f = f] {
      const WideUnion<kFirst, kPrecision, kBatch> wide{
          first, second, f, batch, stages<kPrecision, kBatch>(held), kSilu, own, kind, alone, kind == Second::kUp,
          step.calls(predicted), scores.at, reinterpret_cast<uint16_t*>(found.bits.data()), {found.known},
          found.coefficients.at};
      wide.run(first_x, x.at);
    });
    double error = found.mistakes(step, crossed && !alone, alone ? 0 : blocks);
    if (!alone) error += found.error(step, own, crossed, s);
    if (alone || !crossed || predicted)
      for (int i = 0; i < f; i++)
        for (int b = 0; b < batch; b++) {
          const float score = scores.at[i * kBatch + b];
          const double difference = worse(0, predicted ? score : std::fabs(score), found.score(i, b, batch));
          if (!(difference <= most(first.columns))) error += 1;
        }
    check((alone ? "calls " : "union ") + what, error, most_of_neuron(d));
  }

  if (how != How::kUnion) {
    found.known[0] = 0;
    for (int b = 0; b < batch; b++) {
      int& of = step.record()[2 + b] = 0;
      for (int i = 0; i < f; i++) of += found.calls(step, i, b);
    }
    int count = 0;
    for (int i = 0; i < f; i++) count += found.has(i);
    const bool every = crossed && count > 0;
    launch(blocks, cluster, 1, kWideThreads, [&, batch = batch, d = d, f = f] {
      wide_gathered_of<kPrecision, kBatch>(second, x.at, f, batch, stages<kPrecision, kBatch>(d),
                                           step.calls(predicted), kSilu, own, kind, scores.at, found.bits.data(),
                                           {found.known}, found.coefficients.at);
    });
    check("gathered " + what, found.mistakes(step, every, 1) + found.error(step, own, every, s), most_of_neuron(d));
  }
  if (!crossed && how == How::kUnion) {
    const Matrix<kPrecision> down(f, 256);
    sum<kPrecision, kBatch>(down, found.coefficients, step, found.bits.data(), 2, d, "sum of union " + what);
  }
}

template <Precision kPrecision, int kBatch>
void united(const Shape& shape, Second kind, How how, bool own, double share, bool crossed) {
  sparse<kPrecision, kPrecision, kBatch>(shape, kind, how, own, share, crossed, 0);
}

template <Precision kPrecision, int kBatch>
void predicted(const Shape& shape, int rank, How how, bool own, double share, bool crossed) {
  sparse<Precision::kF16, kPrecision, kBatch>(shape, Second::kBoth, how, own, share, crossed, rank);
}

template <Precision kPrecision>
void all() {
  constexpr Second kByUp = Second::kGate, kByGate = Second::kUp;
  projected<kPrecision, 32>({17, 256, 40, 3});
  projected<kPrecision, 32>({32, 512, 640, 2});
  projected<kPrecision, 64>({33, 1024, 8, 1});
  projected<kPrecision, 64>({64, 4096, 72, 2});
  rotated<kPrecision, 32>(17, 256, 1, 64, 3);
  rotated<kPrecision, 64>(64, 256, 1, 32, 2);
  dense<kPrecision, 32>({17, 512, 96, 3});
  dense<kPrecision, 32>({32, 256, 416, 1});
  dense<kPrecision, 64>({64, 512, 96, 2});
  dense<kPrecision, 64>({33, 256, 160, 3});

  united<kPrecision, 32>({17, 512, 192, 3}, kByUp, How::kUnion, false, 0.01, false);
  united<kPrecision, 32>({32, 256, 640, 1}, kByUp, How::kUnion, true, 0.02, false);
  united<kPrecision, 32>({31, 768, 96, 3}, kByGate, How::kUnion, false, 1, false);
  united<kPrecision, 32>({20, 256, 160, 2}, kByGate, How::kUnion, false, 0, false);
  united<kPrecision, 32>({32, 512, 224, 3}, kByUp, How::kUnion, true, 0.1, true);
  united<kPrecision, 32>({32, 4096, 96, 1}, kByGate, How::kUnion, true, 0.1, false);
  united<kPrecision, 64>({64, 512, 320, 2}, kByUp, How::kUnion, false, 0.005, false);
  united<kPrecision, 64>({33, 256, 416, 1}, kByGate, How::kUnion, true, 0.5, false);
  united<kPrecision, 64>({64, 512, 224, 3}, kByGate, How::kUnion, false, 0.1, true);
  united<kPrecision, 64>({64, 256, 96, 3}, kByUp, How::kUnion, true, 0, true);
  united<kPrecision, 32>({17, 256, 192, 2}, kByUp, How::kAlone, false, 0.02, false);
  united<kPrecision, 64>({64, 512, 160, 3}, kByGate, How::kAlone, true, 0.005, true);

  predicted<kPrecision, 32>({17, 512, 192, 2}, 64, How::kUnion, false, 0.01, false);
  predicted<kPrecision, 32>({32, 256, 320, 1}, 128, How::kUnion, true, 0.1, true);
  predicted<kPrecision, 64>({64, 256, 160, 3}, 192, How::kUnion, true, 0.01, false);
  predicted<kPrecision, 64>({33, 512, 96, 2}, 64, How::kUnion, false, 0, false);
  predicted<kPrecision, 64>({50, 256, 96, 1}, 64, How::kAlone, false, 0.5, false);

  united<kPrecision, 32>({32, 256, 192, 3}, kByUp, How::kGathered, true, 0.02, false);
  united<kPrecision, 64>({64, 512, 320, 2}, kByGate, How::kGathered, false, 0.005, false);
  united<kPrecision, 32>({17, 256, 96, 2}, kByUp, How::kGathered, false, 0, false);
  united<kPrecision, 64>({40, 256, 160, 3}, kByGate, How::kGathered, true, 0.01, true);
  predicted<kPrecision, 32>({32, 512, 192, 3}, 64, How::kGathered, true, 0.01, false);
  predicted<kPrecision, 64>({64, 256, 416, 1}, 64, How::kGathered, false, 0.005, false);
}

// Clusters of two, four and eight blocks, each with its share of the columns; as many as there may be, and
// columns that do not divide evenly.
template <Precision kPrecision>
void clustered() {
  constexpr Second kByUp = Second::kGate, kByGate = Second::kUp;
  projected<kPrecision, 32>({17, 512, 72, 1, 2});
  projected<kPrecision, 32>({32, 2048, 136, 2, 8});
  projected<kPrecision, 64>({64, 1280, 200, 1, 4});
  rotated<kPrecision, 64>(64, 1024, 1, 32, 2, 4);
  dense<kPrecision, 32>({31, 768, 160, 2, 2});
  dense<kPrecision, 64>({64, 2048, 96, 1, 8});

  united<kPrecision, 32>({17, 1024, 256, 2, 4}, kByUp, How::kUnion, false, 0.01, false);
  united<kPrecision, 64>({64, 1024, 320, 2, 4}, kByGate, How::kUnion, true, 0.01, false);
  united<kPrecision, 64>({64, 512, 224, 1, 2}, kByUp, How::kUnion, true, 0.1, true);
  united<kPrecision, 32>({32, 768, 96, 2, 2}, kByGate, How::kUnion, false, 0, false);
  united<kPrecision, 64>({33, 2048, 160, 1, 8}, kByUp, How::kAlone, true, 0.005, false);
  united<kPrecision, 32>({32, 2048, 160, 1, 8}, kByGate, How::kGathered, false, 0.02, false);
  predicted<kPrecision, 32>({17, 512, 192, 2, 2}, 128, How::kUnion, false, 0.02, false);
  predicted<kPrecision, 64>({64, 1024, 160, 1, 4}, 256, How::kUnion, true, 0.005, false);
}

}  // namespace

int main() {
  all<Precision::kF16>();
  all<Precision::kInt8>();
  all<Precision::kInt4>();
  clustered<Precision::kF16>();
  clustered<Precision::kInt8>();
  clustered<Precision::kInt4>();
  return verdict();
}
