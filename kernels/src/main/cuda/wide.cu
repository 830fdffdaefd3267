// Decode products of 32 and 64 sequences, the activations held by clusters of blocks (wide_stream.cuh,
// sm_90a): what held.cu does for fewer.
//
//   wide_project   y f32 [batch x rows]
//   wide_hidden    the same as f16
//   wide_qkv       query, key and value, rotated and where attention finds them
//   wide_gate_up   the dense coefficients
//   wide_union     scores, calls and the other product of a sparse feed-forward at once (held.cu), or scores
//                  and calls `alone`, for what has to know the whole union first: a budget, a crossover
//   wide_predicted wide_union by an f16 predictor, gate and up quantised
//   wide_gathered  the other product over such a union
//
// In wide_union a cluster calls neurons of its own rows and reads the called rows of the other matrix right
// after, in the same rings. Who finishes 16 rows tells all blocks of the cluster which of them are called,
// and a warp of each block lists them, tile after tile: asking, multiplying and finishing warps go on from
// that list. Scores wait in device memory: L2 has them.
//
// Shapes: x f16 [batch x columns]; scores f32 [f x kBatch]; coefficients f16 [f x kBatch], a row a neuron,
// written where it is called; union bits [f / 16] halves of words. Columns are whole steps (weights.cuh), as
// many as a cluster has blocks at least. Launched in clusters of 1, 2, 4 or 8, WideStream::kThreads threads
// (wide_union one warp more), dynamic shared memory: WideShape.java. Bytes: the weights read, once; x once a
// cluster.

#include "called_rows.cuh"
#include "calls.cuh"
#include "known_union.cuh"
#include "row_ranks.cuh"
#include "wide_stream.cuh"

extern __shared__ __align__(1024) char shared[];

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace {

struct NoBarriers {
  __device__ void operator()(char*) const {}
};

__device__ __forceinline__ Groups own_groups(int groups) {
  return Groups(groups, blockIdx.x / cluster_size(), gridDim.x / cluster_size());
}

// Bytes of x of a matrix of so many columns, in each block of the cluster.
template <class Stream, Precision kPrecision>
__device__ int x_bytes(int columns) {
  return typename Stream::template Steps<kPrecision>(columns, cluster_rank(), cluster_size()).most_chunks *
         Stream::kChunkBytes;
}

__device__ __forceinline__ float of(const float4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// What is known of a piece before its sums are there, where there is nothing to know.
struct Nothing {
  template <class... Any>
  __device__ Nothing operator()(const Any&...) const {
    return {};
  }
};

// A dense product of `groups` groups of 16 rows: row(group, r), negative for none; done(group, piece, known),
// known = before(group, piece).
template <Precision kPrecision, int kBatch, class Row, class Before, class Done>
__device__ void wide_product(const StreamedMatrix& matrix, const f16* x, int batch, int stages, int groups,
                             const Row& row, const Before& before, const Done& done) {
  using Stream = WideStream<kBatch, kPrecision>;
  depend_release();
  Stream stream(shared, x_bytes<Stream, kPrecision>(matrix.columns), stages, NoBarriers());
  const Groups own = own_groups(groups);
  stream.template run<kPrecision>(
      matrix, shared, x, batch, own.tiles(),
      [&](int tile, int r) {
        const int group = own.first + tile * 4 + r / 16;
        return group < own.end ? row(group, r % 16) : -1;
      },
      [&](int tile, const typename Stream::Piece& piece) {
        return before(min(own.first + tile * 4 + piece.warp, own.end - 1), piece);
      },
      [&](int tile, const typename Stream::Piece& piece, const auto& known) {
        const int group = own.first + tile * 4 + piece.warp;
        if (group < own.end) done(group, piece, known);
      });
}

template <Precision kPrecision, int kBatch, class Row, class Done>
__device__ void wide_product(const StreamedMatrix& matrix, const f16* x, int batch, int stages, int groups,
                             const Row& row, const Done& done) {
  wide_product<kPrecision, kBatch>(matrix, x, batch, stages, groups, row, Nothing(),
                                   [&](int group, const auto& piece, Nothing) { done(group, piece); });
}

template <Precision kPrecision, int kBatch>
__device__ void wide_project_of(const StreamedMatrix& matrix, const f16* x, int rows, int batch, int stages, float* y) {
  wide_product<kPrecision, kBatch>(
      matrix, x, batch, stages, divide_up(rows, 16),
      [&](int group, int r) {
        const int row = group * 16 + r;
        return row < rows ? row : -1;
      },
      [&](int group, const auto& piece) {
        const int row = group * 16 + piece.row;
#pragma unroll
        for (int i = 0; i < 4; i++) {
          if (piece.b + i >= batch) continue;
          float* to = y + static_cast<size_t>(piece.b + i) * rows + row;
          if (row < rows) to[0] = of(piece.low, i);
          if (row + 8 < rows) to[8] = of(piece.high, i);
        }
      });
}

template <Precision kPrecision, int kBatch>
__device__ void wide_hidden_of(const StreamedMatrix& matrix, const f16* x, int rows, int batch, int stages, f16* y) {
  wide_product<kPrecision, kBatch>(
      matrix, x, batch, stages, rows / 16, [](int group, int r) { return group * 16 + r; },
      [&](int group, const auto& piece) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          if (piece.b + i >= batch) continue;
          f16* to = y + static_cast<size_t>(piece.b + i) * rows + group * 16 + piece.row;
          to[0] = to_f16(of(piece.low, i));
          to[8] = to_f16(of(piece.high, i));
        }
      });
}

struct Angles {
  float2 of[4];
};

template <Precision kPrecision, int kBatch>
__device__ void wide_qkv_of(const StreamedMatrix& matrix, const f16* x, int batch, int stages, const Heads& heads) {
  // all pieces of a lane are of the same sequences
  bool placed = false;
  Heads::Place places[4];
  wide_product<kPrecision, kBatch>(
      matrix, x, batch, stages, heads.pairs() / 8,
      [&](int group, int r) { return heads.row(group * 8 + r % 8, r / 8); },
      [&](int group, const auto& piece) {
        if (!placed)
#pragma unroll
          for (int i = 0; i < 4; i++) places[i] = piece.b + i < batch ? heads.place(piece.b + i) : Heads::Place{-1, 0};
        placed = true;
        Angles known;
#pragma unroll
        for (int i = 0; i < 4; i++) known.of[i] = heads.angle(group * 8 + piece.row, places[i]);
        return known;
      },
      [&](int group, const auto& piece, const Angles& known) {
#pragma unroll
        for (int i = 0; i < 4; i++)
          heads.store(group * 8 + piece.row, piece.b + i, places[i], known.of[i], of(piece.low, i), of(piece.high, i));
      });
}

// The coefficients of a neuron for four sequences.
__device__ __forceinline__ void store_coefficients(f16* to, const float (&s)[4]) {
  *reinterpret_cast<uint2*>(to) = make_uint2(pack_f16(s[0] * kNeuronScale, s[1] * kNeuronScale), pack_f16(s[2] * kNeuronScale, s[3] * kNeuronScale));
}

template <Precision kPrecision, int kBatch>
__device__ void wide_gate_up_of(const StreamedMatrix& matrix, const f16* x, int rows, int batch, int stages,
                                const StepState* state, int activation, f16* coefficients) {
  wide_product<kPrecision, kBatch>(
      matrix, x, batch, stages, rows / 8, [&](int group, int r) { return group * 8 + r % 8 + r / 8 * rows; },
      [&](int group, const auto& piece) {
        float s[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const bool used = piece.b + i < batch && state->active[piece.b + i];
          s[i] = used ? activate(activation, of(piece.low, i)) * of(piece.high, i) : 0;
        }
        store_coefficients(coefficients + static_cast<size_t>(group * 8 + piece.row) * kBatch + piece.b, s);
      });
}

// What a second product's sums become.
template <int kBatch>
struct Coefficients {
  const Calls& calls;
  Second kind;
  int activation, own;
  uint64_t active;
  float threshold;
  const float* scores;
  f16* coefficients;

  // A piece's neurons, one or two a lane, and their scores.
  struct Called {
    int rows[2];
    float4 scores[2];
  };

  // neuron(i) is the row of the tile's i-th neuron, negative for none. To be asked before the piece's sums
  // are there: scores come from L2.
  template <class Piece, class Neuron>
  __device__ Called called(const Piece& piece, const Neuron& neuron) const {
    Called called;
    called.rows[0] = neuron(kind == Second::kBoth ? piece.warp * 8 + piece.row : piece.warp * 16 + piece.row);
    called.rows[1] = kind == Second::kBoth ? -1 : neuron(piece.warp * 16 + piece.row + 8);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const bool used = called.rows[i] >= 0 && (kind != Second::kBoth || own);
      const float4* from = reinterpret_cast<const float4*>(scores + static_cast<size_t>(called.rows[i]) * kBatch + piece.b);
      called.scores[i] = used ? __ldcg(from) : make_float4(0, 0, 0, 0);
    }
    return called;
  }

  template <class Piece>
  __device__ void store(const Piece& piece, const Called& called) const {
    store(called.rows[0], piece.b, piece.low, piece.high, called.scores[0]);
    store(called.rows[1], piece.b, piece.high, piece.high, called.scores[1]);
  }

 private:
  __device__ void store(int row, int b, const float4& product, const float4& other, const float4& score) const {
    if (row < 0) return;
    const float scale = own ? calls.scale(row) : 1;
    float s[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const bool used = (active >> (b + i) & 1) && (!own || calls.called(of(score, i), scale, threshold));
      s[i] = used ? coefficient(kind, activation, of(product, i), of(other, i), of(score, i)) : 0;
    }
    store_coefficients(coefficients + static_cast<size_t>(row) * kBatch + b, s);
  }
};

template <Precision kFirst, Precision kSecond, int kBatch>
struct WideUnion {
  // the wider of the two formats' stages
  using Stream = WideStream<kBatch, kSecond>;
  using FirstSteps = typename Stream::template Steps<kFirst>;
  using SecondSteps = typename Stream::template Steps<kSecond>;
  using Piece = typename Stream::Piece;
  static_assert(Format<kFirst>::kScaleBytes <= Format<kSecond>::kScaleBytes, "stages are the second's");
  static constexpr int kPieces = Stream::kPieces;

  StreamedMatrix first, second;
  int rows, batch, stages, activation, own;
  Second kind;
  bool alone, activated;  // scores alone; scores are activated
  Calls calls;
  float* scores;
  uint16_t* union_bits;
  KnownUnion known_union;
  f16* coefficients;

  // Behind the stream's shared memory: a barrier at which all finishing warps of the cluster say that their
  // scores are written; for each tile of the cluster's own rows a barrier that its masks are counted in by,
  // from all blocks (of one alone, their writers arrive); the masks, 16 bits a piece; and CalledRows.
  struct Called : CalledRows {
    uint64_t* scored;
    uint64_t* told;
    uint32_t* masks;

    __device__ Called(char* at, int of) {
      tiles = of;
      scored = reinterpret_cast<uint64_t*>(at);
      told = scored + 1;
      listed = told + tiles;
      masks = reinterpret_cast<uint32_t*>(listed + tiles);
      counts = reinterpret_cast<int*>(masks + tiles * kPieces);
      list = reinterpret_cast<uint16_t*>(counts + tiles);
    }
  };

  __device__ void run(const f16* first_x, const f16* second_x) const {
    const Groups groups = own_groups(rows / 16);
    const int tiles = groups.tiles();
    const bool same = alone || first_x == second_x;
    const int first_bytes = x_bytes<Stream, kFirst>(first.columns);
    const int second_bytes = same ? 0 : x_bytes<Stream, kSecond>(second.columns);
    Stream stream(shared, first_bytes + second_bytes, stages, [&](char* after) {
      const Called called(after, tiles);
      barrier_init(called.scored, cluster_size() * (Stream::kFinishing / kWarp));
      for (int i = 0; i < tiles; i++) {
        barrier_init(called.told + i, cluster_size() > 1 ? 1 : kPieces);
        barrier_init(called.listed + i, 1);
      }
    });
    const Called called(stream.after, tiles);
    const bool crossed = !alone && calls.crossed();
    const bool dense = crossed && kind != Second::kBoth;
    if (stream.multiplies())
      multiply(stream, called, first_x, second_x, shared, same ? shared : shared + first_bytes, dense);
    else if (stream.finishes())
      dense ? finish_all(stream, called, groups) : finish(stream, called, groups);
    else if (stream.asks())
      dense ? ask_all(stream, called, groups) : ask(stream, called, groups);
    else
      list(stream, called, groups, crossed);
    stream.leave();
  }

  // A layer past its crossover reads gate and up of all neurons as a dense one does, and still counts calls:
  // each tile of 64 neurons is two of 32, the first and the second eight of each 16. With a predictor the
  // second product takes all neurons.
  __device__ void ask_all(Stream& stream, const Called& called, const Groups& groups) const {
    const bool is_second = kind == Second::kGate;
    const StreamedMatrix gate{is_second ? second.elements : first.elements, is_second ? second.scales : first.scales,
                              second.columns};
    const SecondSteps steps(gate.columns, stream.rank, stream.blocks);
    const int half = stream.warpgroup();
    for (int tile = 0; tile < called.tiles; tile++)
      stream.template ask<kSecond>(gate, steps, [&](int r) {
        const int group = groups.first + tile * 4 + r / 16;
        return group < groups.end ? group * 16 + half * 8 + r % 8 + (r / 8 & 1) * rows : -1;
      });
    stream.join();
  }

  __device__ void finish_all(Stream& stream, const Called& called, const Groups& groups) const {
    depend_wait();
    stream.join();
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    uint32_t counts[Stream::kPieceColumns][2] = {}, low_masks[Stream::kPieceColumns] = {};
    for (int unit = 0; unit < 2 * called.tiles; unit++)
      stream.finish(unit, [&](int i, const Piece& piece) {
        const int tile = unit / 2, half = unit % 2, group = groups.first + tile * 4 + piece.warp;
        uint32_t mask = 0;
        if (group < groups.end) {
          const int row = group * 16 + half * 8 + piece.row;
          const float scale = calls.scale(row);
          bool any = false;
          float s[4];
#pragma unroll
          for (int j = 0; j < 4; j++) {
            const float g = activate(activation, of(piece.low, j)), up = of(piece.high, j);
            const bool in = active >> (piece.b + j) & 1;
            const bool call = in && calls.called(dense_score(kind, g, up), scale, threshold);
            counts[i][j / 2] += call ? 1u << j % 2 * 16 : 0;
            any |= call;
            s[j] = in && (!own || call) ? g * up : 0;
          }
          store_coefficients(coefficients + static_cast<size_t>(row) * kBatch + piece.b, s);
          mask = eight_rows(any);
        }
        if (half == 0) {
          low_masks[i] = mask;
        } else {
          tell(stream, called, tile, i, low_masks[i] | mask << 8);
        }
      });
    count(stream, counts);
  }

  // The last two tiles are multiplied at the same time.
  __device__ KnownRows units(const Called& called) const {
    return KnownRows(called, NeuronTiles(kind, rows).neurons(64), max(0, called.tiles - 2));
  }

  // Tells all blocks of the cluster which of a piece's 16 rows are called.
  __device__ void tell(const Stream& stream, const Called& called, int tile, int i, uint32_t mask) const {
    const int lane = threadIdx.x % kWarp, piece = (threadIdx.x - Stream::kMultiplying) / kWarp + 4 * i;
    __syncwarp();
    if (lane >= stream.blocks) return;
    uint32_t* to = called.masks + tile * kPieces + stream.rank * stream.own_pieces + piece;
    if (stream.blocks > 1) {
      store_counted(address_in(to, lane), address_in(called.told + tile, lane), mask);
    } else {
      *to = mask;
      barrier_arrive(called.told + tile);
    }
  }

  // Until the cluster's scores are there for all of its blocks.
  __device__ void scored(const Stream& stream, const Called& called) const {
    const int lane = threadIdx.x % kWarp;
    __syncwarp();
    if (lane < stream.blocks) barrier_arrive_in(address_in(called.scored, lane));
    barrier_wait_cluster(called.scored, 0);
  }

  __device__ void ask(Stream& stream, const Called& called, const Groups& groups) const {
    const FirstSteps first_steps(first.columns, stream.rank, stream.blocks);
    for (int tile = stream.warpgroup(); tile < called.tiles; tile += 2)
      stream.template ask<kFirst>(first, first_steps, [&](int r) {
        const int group = groups.first + tile * 4 + r / 16;
        return group < groups.end ? group * 16 + r % 16 : -1;
      });
    if (!alone) {
      const SecondSteps second_steps(second.columns, stream.rank, stream.blocks);
      const NeuronTiles second_tiles(kind, rows);
      KnownRows known = units(called);
      for (int unit = called.tiles; known.next(); unit++) {
        if ((unit & 1) != stream.warpgroup()) continue;
        stream.template ask<kSecond>(second, second_steps, [&](int r) {
          const int local = known.row(second_tiles.neuron(r));
          return second_tiles.row(local < 0 ? -1 : groups.first * 16 + local, r);
        });
      }
    }
    stream.join();
  }

  __device__ void multiply(Stream& stream, const Called& called, const f16* first_x, const f16* second_x,
                           char* held_first, char* held_second, bool dense) const {
    const FirstSteps first_steps(first.columns, stream.rank, stream.blocks);
    depend_wait();
    stream.template hold<kFirst>(held_first, first_x, first.columns, first_steps, batch);
    if (held_first != held_second)
      stream.template hold<kSecond>(held_second, second_x, second.columns,
                                    SecondSteps(second.columns, stream.rank, stream.blocks), batch);
    stream.held();
    stream.join();
    float sums[Stream::kSums];
    // all of a dense step's tiles are of the second matrix's format, which is the first's
    const int tiles = warp_uniform(dense ? 2 * called.tiles : called.tiles);
    for (int tile = stream.warpgroup(); tile < tiles; tile += 2) {
      stream.template multiply<kFirst>(sums, held_first, first_steps);
      stream.send(tile, sums);
    }
    if (alone || dense) return;
    const SecondSteps second_steps(second.columns, stream.rank, stream.blocks);
    KnownRows known = units(called);
    for (int unit = called.tiles; known.next(); unit++) {
      if ((unit & 1) != stream.warpgroup()) continue;
      stream.template multiply<kSecond>(sums, held_second, second_steps);
      stream.send(unit, sums);
    }
  }

  __device__ void finish(Stream& stream, const Called& called, const Groups& groups) const {
    depend_wait();
    stream.join();
    const Coefficients<kBatch> second_sums{calls, kind, activation, own, active_mask(calls.state, batch),
                                           calls.threshold(), scores, coefficients};
    uint32_t counts[Stream::kPieceColumns][2] = {};
    for (int tile = 0; tile < called.tiles; tile++)
      stream.finish(tile, [&](int i, const Piece& piece) {
        const int group = groups.first + tile * 4 + piece.warp;
        uint32_t mask = 0;
        if (group < groups.end) {
          mask = score(piece.low, group * 16 + piece.row, piece.b, second_sums, counts[i]) |
                 score(piece.high, group * 16 + piece.row + 8, piece.b, second_sums, counts[i]) << 8;
        }
        tell(stream, called, tile, i, mask);
      });
    if (!alone) {
      scored(stream, called);
      KnownRows known = units(called);
      for (int unit = called.tiles; known.next(); unit++) {
        const auto neuron = [&](int at) {
          const int local = known.row(at);
          return local < 0 ? -1 : groups.first * 16 + local;
        };
        // a warp has one piece where a cluster has four blocks of 64 sequences or two of 32
        const auto first = second_sums.called(stream.place_of(0), neuron);
        stream.finish(unit, [&](int i, const Piece& piece) {
          if (i == 0) {
            second_sums.store(piece, first);
          } else {
            second_sums.store(piece, second_sums.called(piece, neuron));
          }
        });
      }
    }
    count(stream, counts);
  }

  // Writes a row's scores of four sequences and counts their calls; bit g: row g of eight is called by any
  // of a piece's sequences. Whole warp.
  __device__ uint32_t score(const float4& sums, int row, int b, const Coefficients<kBatch>& of_second,
                            uint32_t (&counts)[2]) const {
    float4 score = sums;
    if (activated) {
      score.x = activate(activation, score.x), score.y = activate(activation, score.y);
      score.z = activate(activation, score.z), score.w = activate(activation, score.w);
    }
    *reinterpret_cast<float4*>(scores + static_cast<size_t>(row) * kBatch + b) = score;
    const float scale = calls.scale(row);
    bool any = false;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const bool call = (of_second.active >> (b + i) & 1) && calls.called(of(score, i), scale, of_second.threshold);
      counts[i / 2] += call ? 1u << i % 2 * 16 : 0;
      any |= call;
    }
    return eight_rows(any);
  }

  // Adds what this warp counted of each sequence's calls, two to a word, to the record.
  __device__ void count(const Stream& stream, const uint32_t (&counts)[Stream::kPieceColumns][2]) const {
    const int lane = threadIdx.x % kWarp, warp = (threadIdx.x - Stream::kMultiplying) / kWarp;
#pragma unroll
    for (int i = 0; i < Stream::kPieceColumns; i++) {
      const int at = warp + 4 * i;
      if (at >= stream.own_pieces) continue;
      const int b = (stream.rank * stream.own_pieces + at) % Stream::kPieceColumns * 16 + lane * 4;
#pragma unroll
      for (int c = 0; c < 4; c++) {
        int sum = counts[i][c / 2] >> c % 2 * 16 & 0xffffu;
#pragma unroll
        for (int offset = 4; offset < kWarp; offset *= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
        if (lane < 4 && sum != 0) atomicAdd(calls.record() + 2 + b + c, sum);
      }
    }
  }

  // The last warp: lists what is called, tile after tile.
  __device__ void list(Stream& stream, const Called& called, const Groups& groups, bool crossed) const {
    depend_wait();
    const int lane = threadIdx.x % kWarp;
    int count = 0, union_rows = 0;
    // of each cluster one thread
    const bool says = stream.rank == 0 && lane == 0 && !alone;
    if (says && crossed) {
      calls.record_dense();
      known_union.say();
    }
    for (int tile = 0; tile < called.tiles; tile++) {
      if (stream.blocks > 1 && lane == 0) barrier_expect(called.told + tile, kPieces * sizeof(uint32_t));
      barrier_wait(called.told + tile, 0);
      const uint32_t mask = lane < kPieces ? called.masks[tile * kPieces + lane] : 0;
      const int warp = lane / Stream::kPieceColumns;
      const uint32_t halves[2] = {__reduce_or_sync(kAllLanes, warp == 0 ? mask : warp == 1 ? mask << 16 : 0),
                                  __reduce_or_sync(kAllLanes, warp == 2 ? mask : warp == 3 ? mask << 16 : 0)};
      const int left = (groups.end - groups.first) * 16 - tile * 64;
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const uint32_t all = left - h * 32 >= 32 ? ~0u : left - h * 32 > 0 ? 0xffffu : 0;
        count = called.append(tile * 64 + h * 32, crossed ? all : halves[h], count);
        union_rows += __popc(halves[h]);
      }
      const int group = groups.first + tile * 4 + lane;
      if (stream.rank == 0 && lane < 4 && group < groups.end)
        union_bits[group] = static_cast<uint16_t>((lane < 2 ? halves[0] : halves[1]) >> (lane % 2 * 16));
      called.publish(tile, count);
    }
    __syncwarp();
    if (says && !crossed) known_union.say();
    if (says && union_rows != 0) atomicAdd(calls.record(), union_rows);
    stream.join();
  }
};

// The second product over a union that is known: its rows are divided among the clusters.
template <Precision kPrecision, int kBatch>
__device__ void wide_gathered_of(const StreamedMatrix& matrix, const f16* x, int rows, int batch, int stages,
                                 const Calls& calls, int activation, int own, Second kind, const float* scores,
                                 const uint32_t* union_bits, const KnownUnion& known_union, f16* coefficients) {
  using Stream = WideStream<kBatch, kPrecision>;
  depend_release();
  Stream stream(shared, x_bytes<Stream, kPrecision>(matrix.columns), stages, NoBarriers());
  depend_wait();
  // the ring is not in use yet
  int* scratch = reinterpret_cast<int*>(stream.sums_at + Stream::kSumsBytes);
  const RowRanks ranks(scratch, union_bits, rows, calls.dense_from[calls.state->bucket]);
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    calls.record()[0] = ranks.union_rows();
    calls.record()[1] = ranks.every_row();
    known_union.say();
  }
  const Groups own_ranks(ranks.count(), blockIdx.x / stream.blocks, gridDim.x / stream.blocks);
  const int count = own_ranks.end - own_ranks.first;
  int* list = reinterpret_cast<int*>(stream.after);
  ranks.list(own_ranks.first, count, list);
  const Coefficients<kBatch> second_sums{calls, kind, activation, own, active_mask(calls.state, batch),
                                         calls.threshold(), scores, coefficients};
  const NeuronTiles tiles(kind, rows);
  const int each = tiles.neurons(64);
  const auto neuron = [&](int at) { return at < count ? list[at] : -1; };
  stream.template run<kPrecision>(
      matrix, shared, x, batch, divide_up(count, each),
      [&](int tile, int r) { return tiles.row(neuron(tile * each + tiles.neuron(r)), r); },
      [&](int tile, const typename Stream::Piece& piece) {
        return second_sums.called(piece, [&](int i) { return neuron(tile * each + i); });
      },
      [&](int, const typename Stream::Piece& piece, const auto& called) { second_sums.store(piece, called); });
}

}  // namespace

#define WIDE_BODY(...) __VA_ARGS__

#else

// The host launches none of these on devices that are not sm_90.
#define WIDE_BODY(...)

#endif

#define WIDE_KERNEL(NAME, FORMAT, PRECISION, BATCH, THREADS, PARAMETERS, ...)                        \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) NAME##_##FORMAT##_n##BATCH PARAMETERS { \
    constexpr Precision kPrecision = PRECISION;                                                      \
    constexpr int kBatch = BATCH;                                                                    \
    (void)kPrecision, (void)kBatch;                                                                  \
    WIDE_BODY(__VA_ARGS__)                                                                           \
  }
#define WIDE_KERNELS_OF(NAME, FORMAT, PRECISION, THREADS, PARAMETERS, ...)    \
  WIDE_KERNEL(NAME, FORMAT, PRECISION, 32, THREADS, PARAMETERS, __VA_ARGS__)  \
  WIDE_KERNEL(NAME, FORMAT, PRECISION, 64, THREADS, PARAMETERS, __VA_ARGS__)

#define WIDE_KERNELS(NAME, PARAMETERS, ...)                                         \
  WIDE_KERNELS_OF(NAME, f16, Precision::kF16, 448, PARAMETERS, __VA_ARGS__)       \
  WIDE_KERNELS_OF(NAME, int8, Precision::kInt8, 448, PARAMETERS, __VA_ARGS__)       \
  WIDE_KERNELS_OF(NAME, int4, Precision::kInt4, 448, PARAMETERS, __VA_ARGS__)

#define MATRIX_PARAMETERS const char *elements, const uint16_t *scales, const f16 *x, int rows, int columns, int batch, int stages
#define MATRIX \
  StreamedMatrix { elements, scales, columns }

WIDE_KERNELS(wide_project, (MATRIX_PARAMETERS, float* y),
             wide_project_of<kPrecision, kBatch>(MATRIX, x, rows, batch, stages, y);)

WIDE_KERNELS(wide_hidden, (MATRIX_PARAMETERS, f16* y),
             wide_hidden_of<kPrecision, kBatch>(MATRIX, x, rows, batch, stages, y);)

WIDE_KERNELS(wide_qkv, (MATRIX_PARAMETERS, HEADS_PARAMETERS),
             wide_qkv_of<kPrecision, kBatch>(MATRIX, x, batch, stages, HEADS);)

WIDE_KERNELS(wide_gate_up, (MATRIX_PARAMETERS, const StepState* state, int activation, f16* coefficients),
             wide_gate_up_of<kPrecision, kBatch>(MATRIX, x, rows, batch, stages, state, activation, coefficients);)

WIDE_KERNELS(wide_gathered,
             (MATRIX_PARAMETERS, CALLS_PARAMETERS, int activation, int own, int kind, const float* scores,
              const uint32_t* union_bits, int* known_union, f16* coefficients),
             wide_gathered_of<kPrecision, kBatch>(MATRIX, x, rows, batch, stages, CALLS, activation, own,
                                                  static_cast<Second>(kind), scores, union_bits, {known_union},
                                                  coefficients);)

// FORMAT is the second matrix's.
#define WIDE_UNION(NAME, FORMAT, FIRST, SECOND)                                                                      \
  WIDE_KERNELS_OF(NAME, FORMAT, SECOND, 480,                                                                         \
                  (const char* first, const uint16_t* first_scales, const f16* first_x, int first_columns,          \
                   const char* second, const uint16_t* second_scales, const f16* second_x, int second_columns,      \
                   int rows, int batch, int stages, CALLS_PARAMETERS, int activation, int activated, int own,        \
                   int kind, int alone, float* scores, uint16_t* union_bits, int* known_union,                      \
                   f16* coefficients),                                                                               \
                  depend_release();                                                                                  \
                  const WideUnion<FIRST, SECOND, kBatch> wide{{first, first_scales, first_columns},                  \
                                                              {second, second_scales, second_columns},               \
                                                              rows, batch, stages, activation, own,                  \
                                                              static_cast<Second>(kind), alone != 0, activated != 0, \
                                                              CALLS, scores, union_bits, {known_union},              \
                                                              coefficients};                                         \
                  wide.run(first_x, second_x);)

WIDE_UNION(wide_union, f16, Precision::kF16, Precision::kF16)
WIDE_UNION(wide_union, int8, Precision::kInt8, Precision::kInt8)
WIDE_UNION(wide_union, int4, Precision::kInt4, Precision::kInt4)
// a f16 predictor's calls of quantised neurons
WIDE_UNION(wide_predicted, int8, Precision::kF16, Precision::kInt8)
WIDE_UNION(wide_predicted, int4, Precision::kF16, Precision::kInt4)
