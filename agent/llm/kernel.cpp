// One step of a Llama-family decoder for up to 8 tokens at once: rows of one text (drafts) or of several (chats).
//
// Its weights are int8 with one float scale for each 64 along the input; all arithmetic is float32, keys and values are
// bfloat16. Each row is computed by the same operations in the same order, whatever stands beside it and however many
// threads there are, so that a row's logits do not depend on its company. Knows nothing of tokens or Python:
// decoder.py says what the arrays hold, kernel.py compiles this file.

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

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int64_t GROUP = 64;  // weights that share a scale
constexpr int64_t AHEAD = 4096;  // bytes of weights asked for before they are needed
constexpr int MAX_ROWS = 8;
constexpr int64_t UNIT = 32, HEAD_UNIT = 512;  // outputs that a thread takes at a time
constexpr int PHASES = 6;  // of a layer
constexpr int SPINS = 4000;  // looks before a waiting thread lets others run

// Aligned to their elements only: loads may begin anywhere.
typedef float F __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64), aligned(4), may_alias));

inline F load(const float* from) { return *reinterpret_cast<const F*>(from); }
inline void store(float* to, F value) { *reinterpret_cast<F*>(to) = value; }
// gcc 12 takes __builtin_convertvector of these apart, element by element (20 cycles instead of 2).
#if defined(__AVX512F__) && defined(__AVX512BW__)
inline F load_int8(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
inline F load_bf16(const uint16_t* from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
#else
inline F load_int8(const int8_t* from) {
  float wide[LANES];
  for (int n = 0; n < LANES; n++) wide[n] = from[n];
  return load(wide);
}
inline F load_bf16(const uint16_t* from) {
  uint32_t wide[LANES];
  for (int n = 0; n < LANES; n++) wide[n] = static_cast<uint32_t>(from[n]) << 16;
  return *reinterpret_cast<const F*>(wide);
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
  const int8_t* weights;  // (out, in)
  const float* scales;    // (out, in / GROUP)
  int64_t in;
};

struct Shape {
  int64_t layers, hidden, heads, kv_heads, head_dim, inner, vocab, context;
};

struct Layer {
  Matrix qkv, out, gate_up, down;
  const float *before_attention, *before_mlp;  // weights of the norms
};

// `Outs` outputs from `first` of a matrix for R rows: the weights are read once for all rows.
template <int R, int Outs>
inline void multiply_block(const Matrix& m, int64_t first, const float* x, float* y, int64_t y_width, bool add) {
  F sums[Outs][R] = {};
  const int64_t groups = m.in / GROUP;
  for (int64_t g = 0; g < groups; g++) {
#pragma GCC unroll 4
    for (int o = 0; o < Outs; o++) {
      const int8_t* weights = m.weights + (first + o) * m.in + g * GROUP;
      __builtin_prefetch(weights + AHEAD);
      const F scale = F{} + m.scales[(first + o) * groups + g];
#pragma GCC unroll 4
      for (int n = 0; n < GROUP / LANES; n++) {
        const F w = load_int8(weights + n * LANES) * scale;
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) sums[o][r] += w * load(x + r * m.in + g * GROUP + n * LANES);
      }
    }
  }
  for (int o = 0; o < Outs; o++)
    for (int r = 0; r < R; r++) {
      float* to = y + r * y_width + first + o;
      *to = add ? *to + sum(sums[o][r]) : sum(sums[o][r]);
    }
}

template <int R>
void multiply_rows(const Matrix& m, int64_t begin, int64_t end, const float* x, float* y, int64_t y_width, bool add) {
  constexpr int outs = R <= 4 ? 4 : 2;
  int64_t o = begin;
  for (; o + outs <= end; o += outs) multiply_block<R, outs>(m, o, x, y, y_width, add);
  for (; o < end; o++) multiply_block<R, 1>(m, o, x, y, y_width, add);
}

void multiply(int rows, const Matrix& m, int64_t begin, int64_t end, const float* x, float* y, int64_t y_width,
              bool add = false) {
  switch (rows) {
    case 1: return multiply_rows<1>(m, begin, end, x, y, y_width, add);
    case 2: return multiply_rows<2>(m, begin, end, x, y, y_width, add);
    case 3: return multiply_rows<3>(m, begin, end, x, y, y_width, add);
    case 4: return multiply_rows<4>(m, begin, end, x, y, y_width, add);
    case 5: return multiply_rows<5>(m, begin, end, x, y, y_width, add);
    case 6: return multiply_rows<6>(m, begin, end, x, y, y_width, add);
    case 7: return multiply_rows<7>(m, begin, end, x, y, y_width, add);
    default: return multiply_rows<8>(m, begin, end, x, y, y_width, add);
  }
}

void normalise(int rows, int64_t width, const float* x, const float* weight, float eps, float* y) {
  for (int r = 0; r < rows; r++) {
    F squares = {};
    for (int64_t i = 0; i < width; i += LANES) squares += load(x + r * width + i) * load(x + r * width + i);
    const float factor = 1.0f / std::sqrt(sum(squares) / static_cast<float>(width) + eps);
    for (int64_t i = 0; i < width; i += LANES)
      store(y + r * width + i, load(x + r * width + i) * factor * load(weight + i));
  }
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
  uint16_t *const *keys, *const *values;  // (rows): each (layers, kv_heads, context, head_dim)
  const int64_t* places;                  // (rows)
  float* logits;                          // (rows - first_head, vocab)
  std::vector<float> qkv, mixed, acted;   // shared between the threads
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

// Row r's attention for one head: softmax of its query with all keys up to its place, times the values.
void attend(Step& s, int layer, int r, int64_t head, std::vector<float>& scores) {
  const Shape& shape = s.shape;
  const int64_t width = shape.head_dim, seen = s.places[r] + 1;
  const int64_t kv = head / (shape.heads / shape.kv_heads);
  const int64_t offset = (layer * shape.kv_heads + kv) * shape.context * width;
  const uint16_t *keys = s.keys[r] + offset, *values = s.values[r] + offset;
  float query[256];
  rotate(s.qkv.data() + r * (shape.heads + 2 * shape.kv_heads) * width + head * width, s.cos + s.places[r] * width,
         s.sin + s.places[r] * width, width, query);
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  float most = -INFINITY;
  for (int64_t t = 0; t < seen; t++) {
    F dot = {};
    for (int64_t i = 0; i < width; i += LANES) dot += load(query + i) * load_bf16(keys + t * width + i);
    scores[t] = sum(dot) * scale;
    most = scores[t] > most ? scores[t] : most;
  }
  const int64_t padded = (seen + LANES - 1) / LANES * LANES;
  for (int64_t t = seen; t < padded; t++) scores[t] = -INFINITY;
  F total = {};
  for (int64_t t = 0; t < padded; t += LANES) {
    const F weight = exp_of(load(&scores[t]) - most);
    store(&scores[t], weight);
    total += weight;
  }
  const float all = sum(total);
  float* to = s.mixed.data() + r * shape.heads * width + head * width;
  for (int64_t i = 0; i < width; i += LANES) {
    F mixed = {};
    for (int64_t t = 0; t < seen; t++) mixed += scores[t] * load_bf16(values + t * width + i);
    store(to + i, mixed / all);
  }
}

void keep_keys_and_values(const Step& s, int layer, int r, int64_t kv) {
  const Shape& shape = s.shape;
  const int64_t width = shape.head_dim, place = s.places[r];
  const float* row = s.qkv.data() + r * (shape.heads + 2 * shape.kv_heads) * width;
  const int64_t at = ((layer * shape.kv_heads + kv) * shape.context + place) * width;
  float key[256];
  rotate(row + (shape.heads + kv) * width, s.cos + place * width, s.sin + place * width, width, key);
  const float* value = row + (shape.heads + shape.kv_heads + kv) * width;
  for (int64_t i = 0; i < width; i++) {
    s.keys[r][at + i] = to_bf16(key[i]);
    s.values[r][at + i] = to_bf16(value[i]);
  }
}

// Do units of a phase until none is left, then wait for those that others have begun. `prepare` comes before the first.
template <class Prepare, class Do>
void share(Phase& phase, int64_t units, Prepare prepare, Do unit) {
  bool prepared = false;
  for (int64_t n; (n = phase.next.fetch_add(1, std::memory_order_acq_rel)) < units;) {
    if (!prepared) prepare();
    prepared = true;
    unit(n);
    phase.done.fetch_add(1, std::memory_order_acq_rel);
  }
  for (int spins = 0; phase.done.load(std::memory_order_acquire) < units; spins++)
    if (spins > SPINS) sched_yield();
}

void work(Step& s) {
  const Shape shape = s.shape;
  const int rows = s.rows;
  const int64_t hidden = shape.hidden, inner = shape.inner;
  const int64_t qkv_width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  std::vector<float> normed(rows * hidden), raw(rows * 2 * inner), scores(shape.context + LANES);
  Phase* phase = s.phases.get();
  const auto nothing = [] {};
  const auto multiply_all = [&](int rows, const Matrix& m, int64_t outs, int64_t size, const float* x, float* y, bool add,
                                auto prepare) {
    share(*phase++, (outs + size - 1) / size, prepare, [&](int64_t n) {
      multiply(rows, m, n * size, std::min(outs, (n + 1) * size), x, y, outs, add);
    });
  };
  for (int64_t n = 0; n < shape.layers; n++) {
    const Layer& layer = s.layers[n];
    multiply_all(rows, layer.qkv, qkv_width, UNIT, normed.data(), s.qkv.data(), false,
                 [&] { normalise(rows, hidden, s.x, layer.before_attention, s.eps, normed.data()); });
    share(*phase++, rows * shape.kv_heads, nothing,
          [&](int64_t unit) { keep_keys_and_values(s, n, unit / shape.kv_heads, unit % shape.kv_heads); });
    share(*phase++, rows * shape.heads, nothing,
          [&](int64_t unit) { attend(s, n, unit / shape.heads, unit % shape.heads, scores); });
    multiply_all(rows, layer.out, hidden, UNIT, s.mixed.data(), s.x, true, nothing);
    share(*phase++, inner / UNIT, [&] { normalise(rows, hidden, s.x, layer.before_mlp, s.eps, normed.data()); },
          [&](int64_t unit) {
            const int64_t from = unit * UNIT, to = from + UNIT;
            multiply(rows, layer.gate_up, from, to, normed.data(), raw.data(), 2 * inner);
            multiply(rows, layer.gate_up, inner + from, inner + to, normed.data(), raw.data(), 2 * inner);
            for (int r = 0; r < rows; r++)
              for (int64_t i = from; i < to; i += LANES) {
                const F gate = load(&raw[r * 2 * inner + i]), up = load(&raw[r * 2 * inner + inner + i]);
                store(&s.acted[r * inner + i], gate / (exp_of(F{} - gate) + 1.0f) * up);
              }
          });
    multiply_all(rows, layer.down, hidden, UNIT, s.acted.data(), s.x, true, nothing);
  }
  const int heads = rows - s.first_head;
  multiply_all(heads, s.head, shape.vocab, HEAD_UNIT, normed.data(), s.logits, false, [&] {
    normalise(heads, hidden, s.x + s.first_head * hidden, s.last_norm, s.eps, normed.data());
  });
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
  if (is.heads * is.head_dim % GROUP) return 1;
  for (int r = 0; r < rows; r++)
    if (places[r] < 0 || places[r] >= is.context) return 1;
  step.layers.resize(is.layers);
  const auto matrix = [&](int64_t in) {
    Matrix m{static_cast<const int8_t*>(weights[0]), static_cast<const float*>(weights[1]), in};
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
  step.phases.reset(new Phase[is.layers * PHASES + 1]);
  team->run(made);
  return 0;
}
