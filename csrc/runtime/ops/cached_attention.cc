#include "runtime/ops/cached_attention.h"

#include "base/aligned_buffer.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

// Floats written, and multiply-adds, below which a part is not worth a barrier.
constexpr int64_t kWriteGrain = 1 << 15;
constexpr int64_t kGrain = 1 << 16;
// Queries of a task: whole blocks of every kernel, but for the last.
constexpr int64_t kTaskQueries = 96;

// Scratch of the calling thread, kept for its next call.
void* thread_scratch(int64_t bytes) {
  thread_local AlignedBuffer buffer;
  buffer.resize(bytes);
  return buffer.as<void>();
}

int64_t rows_of(const Batch& batch, int64_t sequence) {
  return batch.offsets[sequence + 1] - batch.offsets[sequence];
}

}  // namespace

// Tasks of `size` queries, cut where rows begin to read another page small. A row's bits do not depend on the
// size: it is for the threads alone.
void CachedAttention::add_tasks(const Execution& e, int64_t s, int64_t size, std::vector<Task>& made) const {
  const KvCache& cache = *e.cache->cache;
  const int64_t rows = rows_of(e.batch, s);
  for (int64_t row = 0; row < rows;) {
    const int64_t seen = sequence(e, s).length + row + 1;
    const auto small = cache.small_tokens(sequence(e, s), layer_, seen);
    int64_t next = cache.has_small() ? row + 1 : rows;
    while (next < rows && cache.small_tokens(sequence(e, s), layer_, seen + next - row) == small) {
      ++next;
    }
    for (int64_t head = 0; head < key_heads_; ++head) {
      for (int64_t begin = row * form_.group; begin < next * form_.group; begin += size) {
        made.push_back({s, head, begin, std::min(begin + size, next * form_.group), small});
      }
    }
    row = next;
  }
}

std::vector<CachedAttention::Task> CachedAttention::tasks(const Execution& e) const {
  const int64_t items = e.batch.sequences * key_heads_;
  std::vector<Task> made;
  for (int64_t s = 0; s < e.batch.sequences; ++s) {
    const int64_t queries = rows_of(e.batch, s) * form_.group;
    // The queries of one token read its keys together, unless threads would have nothing to do.
    const int64_t size =
        items >= e.threads() ? kTaskQueries : std::min(kTaskQueries, ceil_div(queries * items, e.threads()));
    add_tasks(e, s, size, made);
  }
  return made;
}

void CachedAttention::run(const Execution& e, const Slot& input, const Slot& output) const {
  e.cache->cache->check_layer(layer_, key_heads_, form_.head_dim);
  const int64_t tokens = e.batch.tokens();
  const int64_t heads = e.batch.sequences * key_heads_;
  const int64_t floats = 2 * tokens * key_heads_ * form_.head_dim;
  e.spread(heads, heads * kWriteGrain / floats, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      write(e, input, i / key_heads_, i % key_heads_);
      shrink(e, i / key_heads_, i % key_heads_);
    }
  });

  const std::vector<Task> all = tasks(e);
  int64_t work = 0;
  for (int64_t s = 0; s < e.batch.sequences; ++s) {
    const int64_t rows = rows_of(e.batch, s);
    work += 2 * (sequence(e, s).length + rows) * rows * form_.group * key_heads_ * form_.head_dim;
  }
  const int64_t count = static_cast<int64_t>(all.size());
  e.spread(count, count * kGrain / work, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) attend(e, input, output, all[static_cast<size_t>(i)]);
  });
}

// What a cache says of its pages is filled in by each forward.
void CachedAttention::lower(Lowering& to, int input, int output) const {
  const auto of_layer = [this](Place::Kind kind) { return Place{kind, static_cast<int>(layer_)}; };
  using Kind = Place::Kind;
  const std::vector<Place> places = {Lowering::data(input),           of_layer(Kind::kTable),
                                     Lowering::of(Kind::kSequenceOf), Lowering::of(Kind::kPlaces),
                                     of_layer(Kind::kSigns),          of_layer(Kind::kPages)};
  device::CacheWriteParameters w = {};
  w.heads = Lowering::word(form_.group * key_heads_);
  w.key_heads = Lowering::word(key_heads_);
  w.head_dim = Lowering::word(form_.head_dim);
  w.in_stride = to.stride(input);
  device::CacheShrinkParameters s = {};
  s.key_heads = w.key_heads;
  s.head_dim = w.head_dim;
  device::CachedAttentionParameters p = {};
  p.heads = w.heads;
  p.key_heads = w.key_heads;
  p.head_dim = w.head_dim;
  p.in_stride = w.in_stride;
  p.out_stride = to.stride(output);
  p.window = Lowering::word(form_.window);
  p.scale = form_.scale;
  p.cap = form_.cap;
  std::vector<Place> attended = places;
  attended.push_back(of_layer(Kind::kSmallPages));
  attended.push_back(Lowering::data(output));
  const std::vector<Place> shrunk = {of_layer(Kind::kShrinks), of_layer(Kind::kPages),
                                     of_layer(Kind::kSmallPages)};
  const auto over_pages = [this](Step& step, Step::Paged paged) {
    step.when = When::kCached;
    step.layer = layer_;
    step.paged = paged;
  };
  over_pages(to.launch("cache_write", places, w, {.z = key_heads_}), Step::Paged::kWrite);
  over_pages(to.launch("cache_shrink", shrunk, s, {.z = key_heads_}), Step::Paged::kShrink);
  over_pages(to.launch("cached_attention", attended, p, {.z = form_.group * key_heads_}),
             Step::Paged::kAttend);
}

void CachedAttention::write(const Execution& e, const Slot& input, int64_t s, int64_t head) const {
  const int64_t width = form_.group * key_heads_ * form_.head_dim;  // of the queries
  cached_attention::Write p;
  p.k = input.f32() + e.batch.offsets[s] * input.stride + width + head * form_.head_dim;
  p.v = p.k + key_heads_ * form_.head_dim;
  p.stride = input.stride;
  p.head_dim = form_.head_dim;
  p.head = e.cache->cache->head(sequence(e, s), layer_, head);
  p.first = sequence(e, s).length;
  p.count = rows_of(e.batch, s);
  kernel_.write(p);
}

// Pages that some of these rows see small.
void CachedAttention::shrink(const Execution& e, int64_t s, int64_t head) const {
  const KvCache& cache = *e.cache->cache;
  if (!cache.has_small()) return;
  const KvCache::Sequence& one = sequence(e, s);
  const auto [first, last] = cache.pages_to_shrink(one, layer_, one.length + rows_of(e.batch, s));
  const cached_attention::Head full = cache.head(one, layer_, head);
  const cached_attention::Head small = cache.small_head(one, layer_, head);
  for (int64_t page = first; page < last; ++page) {
    kernel_.shrink({.from = full.pages[page] + full.offset,
                    .to = small.pages[page] + small.offset,
                    .exact = full.layout,
                    .small = small.layout,
                    .page_tokens = full.page_tokens,
                    .head_dim = form_.head_dim,
                    .scratch = thread_scratch(cached_attention::kShrinkScratch)});
  }
}

void CachedAttention::attend(const Execution& e, const Slot& input, const Slot& output,
                             const Task& task) const {
  const int64_t first = e.batch.offsets[task.sequence];
  const int64_t column = task.head * form_.group * form_.head_dim;
  cached_attention::Attend p = form_;
  p.q = input.f32() + first * input.stride + column;
  p.q_stride = input.stride;
  p.out = output.f32() + first * output.stride + column;
  p.out_stride = output.stride;
  p.head = e.cache->cache->head(sequence(e, task.sequence), layer_, task.head);
  if (task.small.first < task.small.second) {
    p.small = e.cache->cache->small_head(sequence(e, task.sequence), layer_, task.head);
    p.small_begin = task.small.first;
    p.small_end = task.small.second;
  }
  p.cached = sequence(e, task.sequence).length;
  p.begin = task.begin;
  p.end = task.end;
  int64_t seen = p.cached + rows_of(e.batch, task.sequence);
  if (p.window > 0) seen = std::min(seen, p.window + cached_attention::kMaxBlock);
  p.scratch = thread_scratch(cached_attention::scratch_bytes(seen, p.head_dim));
  kernel_.attend(p);
}

}  // namespace arrowmind::runtime
