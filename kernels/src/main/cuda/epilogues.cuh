// What becomes of sums, where more than one kernel does it.
#pragma once

#include "activation.cuh"
#include "attention.cuh"
#include "step_state.cuh"

// Where a step's queries, keys and values go. Rows of the matrix: queries, then keys, then values, head_size
// of each head. A pair is dimensions i and i + head_size / 2 of a head; pairs count over all heads.
struct Heads {
  const StepState* state;
  int heads, kv_heads, head_size;
  const float* cosines;  // [context x head_size / 2]
  const float* sines;
  const int* page_table;  // [slots x most_pages]
  int most_pages;
  f16* keys;  // [pages x kv_heads x kPagePositions x head_size]
  f16* values;
  f16* queries;  // [batch x heads * head_size]

  __device__ int pairs() const { return (heads + 2 * kv_heads) * (head_size / 2); }

  // The row of a pair's first or second element.
  __device__ int row(int pair, int second) const {
    const int half = head_size / 2;
    return pair / half * head_size + pair % half + second * half;
  }

  // Where a sequence stands: its position, negative if it is not in the step, and the row of it in the first
  // head of its page.
  struct Place {
    int position, row;
  };

  __device__ Place place(int b) const {
    if (!state->active[b]) return {-1, 0};
    const int position = state->position[b];
    const int page = page_table[state->slot[b] * most_pages + position / kPagePositions];
    return {position, page * kv_heads * kPagePositions + position % kPagePositions};
  }

  // Cosine and sine of a pair there; what they are for a value's is of no account.
  __device__ float2 angle(int pair, const Place& place) const {
    const int half = head_size / 2;
    if (place.position < 0 || pair / half >= heads + kv_heads) return make_float2(1, 0);
    const size_t at = static_cast<size_t>(place.position) * half + pair % half;
    return make_float2(cosines[at], sines[at]);
  }

  // Rotates a pair of sequence b, if it is a query's or a key's, and writes it.
  __device__ void store(int pair, int b, const Place& place, const float2& angle, float low, float high) const {
    if (place.position < 0) return;
    const int half = head_size / 2, head = pair / half, dimension = pair % half;
    if (head < heads + kv_heads) rotate(low, high, angle.x, angle.y);
    f16* to;
    if (head < heads) {
      to = queries + (static_cast<size_t>(b) * heads + head) * head_size;
    } else {
      const bool is_key = head < heads + kv_heads;
      const int kv_head = head - heads - (is_key ? 0 : kv_heads);
      to = (is_key ? keys : values) + (static_cast<size_t>(place.row) + kv_head * kPagePositions) * head_size;
    }
    to[dimension] = to_f16(low);
    to[dimension + half] = to_f16(high);
  }

  __device__ void store(int pair, int b, float low, float high) const {
    const Place there = place(b);
    store(pair, b, there, angle(pair, there), low, high);
  }
};

#define HEADS_PARAMETERS                                                                                          \
  const StepState *state, int heads, int kv_heads, int head_size, const float *cosines, const float *sines,        \
      const int *page_table, int most_pages, f16 *keys, f16 *values, f16 *queries
#define HEADS \
  Heads { state, heads, kv_heads, head_size, cosines, sines, page_table, most_pages, keys, values, queries }

// How a called neuron's second product makes its coefficient.
enum class Second : int {
  kGate = 0,   // s = act(product) * score: m-countdown
  kUp = 1,     // s = product * score, the score activated: cats
  kBoth = 2,   // s = act(gate) * up: a predictor's
};

// Of a dense step, the score that calls a neuron: up's product, or gate's, activated.
__device__ __forceinline__ float dense_score(Second kind, float activated_gate, float up) {
  return kind == Second::kUp ? activated_gate : up;
}

// `other` is up where the product is gate.
__device__ __forceinline__ float coefficient(Second kind, int activation, float product, float other, float score) {
  if (kind == Second::kUp) return product * score;
  return activate(activation, product) * (kind == Second::kBoth ? other : score);
}
