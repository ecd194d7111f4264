// Steps of a Llama-family decoder for up to 128 tokens at once: a piece of a prompt, or the next tokens of several texts.
//
// Its weights are 8 bits with one float scale for each 64 along the input; what they are multiplied with is rounded to
// 8 bits in groups of 64, too, so that the products are added up as integers (as llama.cpp does with its quantised
// weights). All else is float32, keys and values are bfloat16. Each row is computed by the same operations in the same
// order, whatever stands beside it and however many threads there are, so that a row's logits do not depend on its
// company. Knows nothing of tokens or Python: decoder.py says what the arrays hold, kernel.py compiles this file.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int64_t GROUP = 64;  // weights that share a scale
constexpr int MAX_ROWS = 128;
constexpr int64_t UNIT = 32, HEAD_UNIT = 512;  // outputs that a thread takes at a time
constexpr int TILE_ROWS = 6;  // rows whose sums fit into the registers
constexpr int PHASES = 10;  // of a layer
constexpr int SPINS = 4000;  // looks before a waiting thread lets others run

// Aligned to their elements only: loads may begin anywhere.
typedef float F __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64), aligned(4), may_alias));

inline F load(const float* from) { return *reinterpret_cast<const F*>(from); }
inline void store(float* to, F value) { *reinterpret_cast<F*>(to) = value; }
// gcc 12 takes __builtin_convertvector of these apart, element by element (20 cycles instead of 2).
#if defined(__AVX512F__) && defined(__AVX512BW__)
inline F load_bf16(const uint16_t* from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
inline F to_float(I whole) { return _mm512_cvtepi32_ps(reinterpret_cast<__m512i>(whole)); }
inline void store_int8(int8_t* to, I whole) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(whole)));
}
#else
inline F load_bf16(const uint16_t* from) {
  uint32_t wide[LANES];
  for (int n = 0; n < LANES; n++) wide[n] = static_cast<uint32_t>(from[n]) << 16;
  return load(reinterpret_cast<const float*>(wide));
}
inline F to_float(I whole) { return __builtin_convertvector(whole, F); }
inline void store_int8(int8_t* to, I whole) {
  for (int n = 0; n < LANES; n++) to[n] = static_cast<int8_t>(whole[n]);
}
#endif

// Adds to each lane the products of its 4 weights (unsigned) with the 4 numbers (signed) at `with`.
#if defined(__AVX512VNNI__)
inline I add_products(I sums, const uint8_t* weights, const int8_t* with) {
  int32_t four;
  std::memcpy(&four, with, 4);
  return reinterpret_cast<I>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), _mm512_loadu_si512(weights), _mm512_set1_epi32(four)));
}
#elif defined(__AVX2__)
inline I add_products(I sums, const uint8_t* weights, const int8_t* with) {
  // In 16 bits, the bytes at even and at odd places apart: pmaddubsw would cut off sums of two products.
  const __m256i low = _mm256_set1_epi16(0xff);
  const __m256i even = _mm256_set1_epi32((with[0] & 0xffff) | with[2] * 65536);
  const __m256i odd = _mm256_set1_epi32((with[1] & 0xffff) | with[3] * 65536);
  __m256i halves[2];
  std::memcpy(halves, &sums, sizeof(halves));
  for (int n = 0; n < 2; n++) {
    const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + 32 * n));
    halves[n] = _mm256_add_epi32(halves[n], _mm256_madd_epi16(_mm256_and_si256(w, low), even));
    halves[n] = _mm256_add_epi32(halves[n], _mm256_madd_epi16(_mm256_srli_epi16(w, 8), odd));
  }
  std::memcpy(&sums, halves, sizeof(halves));
  return sums;
}
#else
inline I add_products(I sums, const uint8_t* weights, const int8_t* with) {
  int32_t lanes[LANES];
  std::memcpy(lanes, &sums, sizeof(lanes));
  for (int n = 0; n < LANES; n++)
    for (int k = 0; k < 4; k++) lanes[n] += weights[4 * n + k] * with[k];
  std::memcpy(&sums, lanes, sizeof(lanes));
  return sums;
}
#endif
inline uint16_t to_bf16(float value) {  // to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float sum(F v) {
  float parts[LANES];
  store(parts, v);
  for (int width = LANES / 2; width; width /= 2)
    for (int n = 0; n < width; n++) parts[n] += parts[n + width];
  return parts[0];
}
inline F exp_of(F x) {  // relative error below 2e-7 for -87 < x < 88; smaller x give about e-38
  const F least = F{} - 87.0f, most = F{} + 88.0f;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const F whole = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const F r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  F p = F{} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return reinterpret_cast<F>(reinterpret_cast<I>(p) + (__builtin_convertvector(whole, I) << 23));
}

struct Matrix {
  const uint8_t* weights;  // 128 more than the weight; (out / 16, in / GROUP, GROUP / 4, 16 outs, 4 ins)
  const float* scales;     // (out / 16, in / GROUP, 16 outs)
  int64_t in;
};

// Rows in 8 bits; `start` takes back the 128 that the weights have too much: -128 times the sum of a group.
struct Rounded {
  std::vector<int8_t> numbers;  // (rows, width)
  std::vector<float> scales;    // (rows, width / GROUP)
  std::vector<int32_t> starts;
  void make_room(int64_t size) {
    numbers.resize(size);
    scales.resize(size / GROUP);
    starts.resize(size / GROUP);
  }
};

struct Shape {
  int64_t layers, hidden, heads, kv_heads, head_dim, inner, vocab, context;
};

struct Layer {
  Matrix qkv, out, gate_up, down;
  const float *before_attention, *before_mlp;  // weights of the norms
};

// `Blocks` times 16 outputs from block `first` for R rows from `row`, each sum in `Parts`, so that additions overlap.
template <int R, int Blocks, int Parts>
inline void multiply_tile(const Matrix& m, int64_t first, int64_t row, const Rounded& x, float* y, int64_t y_width,
                          bool add) {
  F sums[R][Blocks] = {};
  const int64_t groups = m.in / GROUP;
  const int8_t* numbers = x.numbers.data() + row * m.in;
  for (int64_t g = 0; g < groups; g++) {
    I parts[R][Blocks][Parts];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 2
      for (int b = 0; b < Blocks; b++) {
        parts[r][b][0] = I{} + x.starts[(row + r) * groups + g];
#pragma GCC unroll 4
        for (int p = 1; p < Parts; p++) parts[r][b][p] = I{};
      }
    const uint8_t* weights = m.weights + (first * groups + g) * LANES * GROUP;
#pragma GCC unroll 4
    for (int k = 0; k < GROUP / 4; k++)
#pragma GCC unroll 8
      for (int r = 0; r < R; r++)
#pragma GCC unroll 2
        for (int b = 0; b < Blocks; b++)
          parts[r][b][k % Parts] = add_products(parts[r][b][k % Parts], weights + b * groups * LANES * GROUP + k * 64,
                                                numbers + r * m.in + g * GROUP + k * 4);
#pragma GCC unroll 2
    for (int b = 0; b < Blocks; b++) {
      const F scales = load(m.scales + ((first + b) * groups + g) * LANES);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int p = 1; p < Parts; p++) parts[r][b][0] += parts[r][b][p];
        sums[r][b] += to_float(parts[r][b][0]) * (scales * x.scales[(row + r) * groups + g]);
      }
    }
  }
  for (int r = 0; r < R; r++)
    for (int b = 0; b < Blocks; b++) {
      float* to = y + (row + r) * y_width + b * LANES;
      store(to, add ? load(to) + sums[r][b] : sums[r][b]);
    }
}

template <int Blocks>
void multiply_block(int rows, const Matrix& m, int64_t first, const Rounded& x, float* y, int64_t y_width, bool add) {
  for (int row = 0; row < rows;) {
    const int left = rows - row, now = left == 7 || left == 8 ? 4 : std::min(left, TILE_ROWS);
    switch (now) {
      case 1: multiply_tile<1, Blocks, 4>(m, first, row, x, y, y_width, add); break;
      case 2: multiply_tile<2, Blocks, 2>(m, first, row, x, y, y_width, add); break;
      case 3: multiply_tile<3, Blocks, 1>(m, first, row, x, y, y_width, add); break;
      case 4: multiply_tile<4, Blocks, 1>(m, first, row, x, y, y_width, add); break;
      case 5: multiply_tile<5, Blocks, 1>(m, first, row, x, y, y_width, add); break;
      default: multiply_tile<TILE_ROWS, Blocks, 1>(m, first, row, x, y, y_width, add);
    }
    row += now;
  }
}

// Outputs `begin` to `end`, multiples of 16, to `y` (rows, y_width) from its beginning on.
void multiply(int rows, const Matrix& m, int64_t begin, int64_t end, const Rounded& x, float* y, int64_t y_width,
              bool add = false) {
  int64_t o = begin;
  for (; o + 2 * LANES <= end; o += 2 * LANES)
    multiply_block<2>(rows, m, o / LANES, x, y + (o - begin), y_width, add);
  if (o < end) multiply_block<1>(rows, m, o / LANES, x, y + (o - begin), y_width, add);
}

void round_row(int64_t r, int64_t width, const float* x, Rounded& to) {
  constexpr float BIG = 12582912.0f;  // adding it rounds to a whole number, ties to even
  for (int64_t g = 0; g < width / GROUP; g++, x += GROUP) {
    F most = {};
    for (int n = 0; n < GROUP; n += LANES) {
      const F v = load(x + n), size = v < 0.0f ? -v : v;
      most = most > size ? most : size;
    }
    float largest = most[0];
    for (int n = 1; n < LANES; n++) largest = std::max(largest, most[n]);
    const float factor = largest > 0 ? 127.0f / largest : 0.0f;
    int8_t* numbers = to.numbers.data() + r * width + g * GROUP;
    I all = {};
    for (int n = 0; n < GROUP; n += LANES) {
      const I whole = __builtin_convertvector((load(x + n) * factor + BIG) - BIG, I);
      all += whole;
      store_int8(numbers + n, whole);
    }
    int32_t total = 0;
    for (int n = 0; n < LANES; n++) total += all[n];
    to.scales[r * (width / GROUP) + g] = largest / 127.0f;
    to.starts[r * (width / GROUP) + g] = -128 * total;
  }
}

void normalise(int64_t width, const float* x, const float* weight, float eps, float* y) {
  F squares = {};
  for (int64_t i = 0; i < width; i += LANES) squares += load(x + i) * load(x + i);
  const float factor = 1.0f / std::sqrt(sum(squares) / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; i += LANES) store(y + i, load(x + i) * factor * load(weight + i));
}

void rotate(const float* x, const float* cos, const float* sin, int64_t width, float* y) {
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; i++) {
    y[i] = x[i] * cos[i] - x[i + half] * sin[i];
    y[i + half] = x[i + half] * cos[i + half] + x[i] * sin[i + half];
  }
}

// Work that is shared out in units: who is free takes the next one, and nobody waits for a thread that has taken none.
struct Phase {
  std::atomic<int64_t> next{0}, done{0};
};

// All that one step is given; one array each of `rows` entries where it says (rows).
struct Step {
  Shape shape;
  float eps;
  std::vector<Layer> layers;
  Matrix head;
  const float* last_norm;
  const float *cos, *sin;  // (context, head_dim)
  int rows, first_head;    // logits are wanted from row `first_head` on
  float* x;                // (rows, hidden): embeddings, overwritten
  uint16_t *const *keys;    // (rows): each (layers, kv_heads, context / 16, head_dim, 16 places)
  uint16_t *const *values;  // (rows): each (layers, kv_heads, context, head_dim)
  const int64_t* places;                  // (rows)
  float* logits;                          // (rows - first_head, vocab)
  std::vector<float> qkv, mixed, acted;   // shared between the threads
  Rounded rounded;
  std::unique_ptr<Phase[]> phases;
};

void work(Step& step);

// Threads that sleep between steps. One that comes late finds its share done and must not touch what the step is
// given, for its caller may have gone on: only the phases, which live as long as the step.
class Team {
 public:
  const int size;
  explicit Team(int threads) : size(threads) {
    for (int n = 1; n < threads; n++) std::thread([this] { serve(); }).detach();
  }
  void run(const std::shared_ptr<Step>& step) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      step_ = step;
      number_++;
    }
    called_.notify_all();
    work(*step);
  }

 private:
  void serve() {
    for (uint64_t seen = 0;;) {
      std::shared_ptr<Step> step;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        called_.wait(lock, [&] { return number_ != seen; });
        seen = number_;
        step = step_;
      }
      work(*step);
    }
  }
  std::mutex mutex_;
  std::condition_variable called_;
  std::shared_ptr<Step> step_;
  uint64_t number_ = 0;
};

// Row r's attention for H heads from `head` that share keys and values: softmax of each query with all keys up to the
// row's place, times the values.
template <int H>
void attend(Step& s, int layer, int r, int64_t head, std::vector<float>& scores) {
  const Shape& shape = s.shape;
  const int64_t width = shape.head_dim, seen = s.places[r] + 1, padded = (seen + LANES - 1) / LANES * LANES;
  const int64_t kv = head / (shape.heads / shape.kv_heads);
  const int64_t offset = (layer * shape.kv_heads + kv) * shape.context * width;
  const uint16_t *keys = s.keys[r] + offset, *values = s.values[r] + offset;
  float queries[H][256], alls[H];
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  for (int h = 0; h < H; h++) {
    rotate(s.qkv.data() + r * (shape.heads + 2 * shape.kv_heads) * width + (head + h) * width,
           s.cos + s.places[r] * width, s.sin + s.places[r] * width, width, queries[h]);
    for (int64_t i = 0; i < width; i++) queries[h][i] *= scale;
  }
  F most[H];
  for (int h = 0; h < H; h++) most[h] = F{} - INFINITY;
  for (int64_t t = 0; t < padded; t += LANES) {
    F dots[H] = {};
    for (int64_t i = 0; i < width; i++) {
      const F key = load_bf16(keys + t * width + i * LANES);
#pragma GCC unroll 4
      for (int h = 0; h < H; h++) dots[h] += queries[h][i] * key;
    }
    for (int h = 0; h < H; h++) {
      float* to = &scores[h * (shape.context + LANES)];
      store(to + t, dots[h]);
      for (int64_t n = seen; n < t + LANES; n++) to[n] = -INFINITY;
      const F dot = load(to + t);
      most[h] = most[h] > dot ? most[h] : dot;
    }
  }
  for (int h = 0; h < H; h++) {
    float* from = &scores[h * (shape.context + LANES)];
    float largest = most[h][0];
    for (int n = 1; n < LANES; n++) largest = std::max(largest, most[h][n]);
    F total = {};
    for (int64_t t = 0; t < padded; t += LANES) {
      const F weight = exp_of(load(from + t) - largest);
      store(from + t, weight);
      total += weight;
    }
    alls[h] = sum(total);
  }
  constexpr int64_t WIDE = 4 * LANES;
  for (int64_t from = 0; from < width; from += WIDE) {
    const int64_t lanes = std::min(WIDE, width - from) / LANES;
    F mixed[H][4] = {};
    const auto mix = [&](int64_t lanes) {
      for (int64_t t = 0; t < seen; t++)
#pragma GCC unroll 4
        for (int64_t n = 0; n < lanes; n++) {
          const F value = load_bf16(values + t * width + from + n * LANES);
#pragma GCC unroll 4
          for (int h = 0; h < H; h++) mixed[h][n] += scores[h * (shape.context + LANES) + t] * value;
        }
    };
    if (lanes == 4) mix(4);
    else mix(lanes);
    for (int h = 0; h < H; h++)
      for (int64_t n = 0; n < lanes; n++)
        store(s.mixed.data() + r * shape.heads * width + (head + h) * width + from + n * LANES, mixed[h][n] / alls[h]);
  }
}

// The heads of row r that share the keys `kv`.
void attend_all(Step& s, int layer, int r, int64_t kv, std::vector<float>& scores) {
  const int64_t each = s.shape.heads / s.shape.kv_heads, end = (kv + 1) * each;
  for (int64_t head = kv * each; head < end;) {
    switch (std::min<int64_t>(end - head, 4)) {
      case 1: attend<1>(s, layer, r, head, scores); head += 1; break;
      case 2: attend<2>(s, layer, r, head, scores); head += 2; break;
      case 3: attend<3>(s, layer, r, head, scores); head += 3; break;
      default: attend<4>(s, layer, r, head, scores); head += 4;
    }
  }
}

void keep_keys_and_values(const Step& s, int layer, int r, int64_t kv) {
  const Shape& shape = s.shape;
  const int64_t width = shape.head_dim, place = s.places[r];
  const float* row = s.qkv.data() + r * (shape.heads + 2 * shape.kv_heads) * width;
  const int64_t offset = (layer * shape.kv_heads + kv) * shape.context * width;
  float key[256];
  rotate(row + (shape.heads + kv) * width, s.cos + place * width, s.sin + place * width, width, key);
  const float* value = row + (shape.heads + shape.kv_heads + kv) * width;
  uint16_t* tile = s.keys[r] + offset + place / LANES * LANES * width + place % LANES;
  for (int64_t i = 0; i < width; i++) {
    tile[i * LANES] = to_bf16(key[i]);
    s.values[r][offset + place * width + i] = to_bf16(value[i]);
  }
}

// Do units of a phase until none is left, then wait for those that others have begun.
template <class Do>
void share(Phase& phase, int64_t units, Do unit) {
  for (int64_t n; (n = phase.next.fetch_add(1, std::memory_order_acq_rel)) < units;) {
    unit(n);
    phase.done.fetch_add(1, std::memory_order_acq_rel);
  }
  for (int spins = 0; phase.done.load(std::memory_order_acquire) < units; spins++)
    if (spins > SPINS) sched_yield();
}

void work(Step& s) {
  const Shape shape = s.shape;
  const int rows = s.rows;
  const int64_t hidden = shape.hidden, inner = shape.inner, mixed_width = shape.heads * shape.head_dim;
  const int64_t qkv_width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  std::vector<float> normed(hidden), raw(rows * 2 * UNIT), scores(4 * (shape.context + LANES));
  Phase* phase = s.phases.get();
  const auto round_all = [&](int64_t width, const std::vector<float>& x) {
    share(*phase++, rows, [&](int64_t r) { round_row(r, width, x.data() + r * width, s.rounded); });
  };
  const auto normalise_all = [&](int rows, const float* x, const float* weight) {
    share(*phase++, rows, [&](int64_t r) {
      normalise(hidden, x + r * hidden, weight, s.eps, normed.data());
      round_row(r, hidden, normed.data(), s.rounded);
    });
  };
  const auto multiply_all = [&](int rows, const Matrix& m, int64_t outs, int64_t size, float* y, bool add) {
    share(*phase++, (outs + size - 1) / size, [&](int64_t n) {
      multiply(rows, m, n * size, std::min(outs, (n + 1) * size), s.rounded, y + n * size, outs, add);
    });
  };
  for (int64_t n = 0; n < shape.layers; n++) {
    const Layer& layer = s.layers[n];
    normalise_all(rows, s.x, layer.before_attention);
    multiply_all(rows, layer.qkv, qkv_width, UNIT, s.qkv.data(), false);
    share(*phase++, rows * shape.kv_heads,
          [&](int64_t unit) { keep_keys_and_values(s, n, unit / shape.kv_heads, unit % shape.kv_heads); });
    share(*phase++, rows * shape.kv_heads,
          [&](int64_t unit) { attend_all(s, n, unit / shape.kv_heads, unit % shape.kv_heads, scores); });
    round_all(mixed_width, s.mixed);
    multiply_all(rows, layer.out, hidden, UNIT, s.x, true);
    normalise_all(rows, s.x, layer.before_mlp);
    share(*phase++, inner / UNIT, [&](int64_t unit) {
      const int64_t from = unit * UNIT, to = from + UNIT;
      multiply(rows, layer.gate_up, from, to, s.rounded, raw.data(), 2 * UNIT);
      multiply(rows, layer.gate_up, inner + from, inner + to, s.rounded, raw.data() + UNIT, 2 * UNIT);
      for (int r = 0; r < rows; r++)
        for (int64_t i = 0; i < UNIT; i += LANES) {
          const F gate = load(&raw[r * 2 * UNIT + i]), up = load(&raw[r * 2 * UNIT + UNIT + i]);
          store(&s.acted[r * inner + from + i], gate / (exp_of(F{} - gate) + 1.0f) * up);
        }
    });
    round_all(inner, s.acted);
    multiply_all(rows, layer.down, hidden, UNIT, s.x, true);
  }
  const int heads = rows - s.first_head;
  normalise_all(heads, s.x + s.first_head * hidden, s.last_norm);
  multiply_all(heads, s.head, shape.vocab, HEAD_UNIT, s.logits, false);
}

}  // namespace

// `shape`: the 8 numbers of Shape. `weights`: for each layer the addresses of weights and scales of qkv, out, gate_up
// and down, then of its two norms; then weights and scales of the head, and the last norm. 0 when done, 1 when refused.
extern "C" int chatalogue_step(const int64_t* shape, float eps, const void* const* weights, const float* cos,
                               const float* sin, int rows, int first_head, float* x, uint16_t* const* keys,
                               uint16_t* const* values, const int64_t* places, float* logits, int threads) {
  static std::mutex one_at_a_time;
  static Team* team = nullptr;
  std::lock_guard<std::mutex> lock(one_at_a_time);
  if (rows < 1 || rows > MAX_ROWS || first_head < 0 || first_head >= rows || threads < 1) return 1;
  if (team == nullptr || team->size != threads) team = new Team(threads);  // an old one sleeps for ever
  const auto made = std::make_shared<Step>();
  Step& step = *made;
  std::memcpy(&step.shape, shape, sizeof(Shape));
  const Shape& is = step.shape;
  if (is.head_dim > 256 || is.head_dim % LANES || is.hidden % GROUP || is.inner % GROUP) return 1;
  if (is.heads * is.head_dim % GROUP || is.vocab % LANES || is.context % LANES) return 1;
  for (int r = 0; r < rows; r++)
    if (places[r] < 0 || places[r] >= is.context) return 1;
  step.layers.resize(is.layers);
  const auto matrix = [&](int64_t in) {
    Matrix m{static_cast<const uint8_t*>(weights[0]), static_cast<const float*>(weights[1]), in};
    weights += 2;
    return m;
  };
  for (Layer& layer : step.layers) {
    layer.qkv = matrix(is.hidden);
    layer.out = matrix(is.heads * is.head_dim);
    layer.gate_up = matrix(is.hidden);
    layer.down = matrix(is.inner);
    layer.before_attention = static_cast<const float*>(*weights++);
    layer.before_mlp = static_cast<const float*>(*weights++);
  }
  step.head = matrix(is.hidden);
  step.last_norm = static_cast<const float*>(*weights);
  step.eps = eps;
  step.cos = cos;
  step.sin = sin;
  step.rows = rows;
  step.first_head = first_head;
  step.x = x;
  step.keys = keys;
  step.values = values;
  step.places = places;
  step.logits = logits;
  step.qkv.resize(rows * (is.heads + 2 * is.kv_heads) * is.head_dim);
  step.mixed.resize(rows * is.heads * is.head_dim);
  step.acted.resize(rows * is.inner);
  step.rounded.make_room(rows * std::max({is.hidden, is.heads * is.head_dim, is.inner}));
  step.phases.reset(new Phase[is.layers * PHASES + 2]);
  team->run(made);
  return 0;
}
