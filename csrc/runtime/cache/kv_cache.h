#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/cached_attention/cached_attention.h"
#include "runtime/cache/page_pool.h"

namespace arrowmind::runtime {

// A layer of attention. Layers of one group share lists of pages: a page holds its tokens in all of them.
struct CacheLayer {
  int64_t group = 0;
  int64_t key_heads = 0, head_dim = 0;
};

// In the small formats pages are written as float16, and become small when a token sees them from far: token
// p sees page i small when it is none of the first that hold `sinks` tokens, and ends `recent` or more tokens
// before the end of what p sees. What each token sees does thus not depend on how tokens were cut into calls.
struct CacheOptions {
  cached_attention::Format format = cached_attention::Format::kF16;
  int64_t page_tokens = 64;  // a multiple of 16
  int64_t max_tokens = 0;    // that all pages together hold
  int64_t sinks = 4, recent = 64;
  int64_t chunk = 512;  // most tokens that come at once, for which there must be float16 pages meanwhile
};

// How the keys of a layer turn with their positions, see kernels/rope; from element `first` on, two for each
// frequency.
struct KeyRotation {
  const float* frequencies = nullptr;
  int64_t pairs = 0, first = 0;
  bool interleaved = false;
};

// Signs of the rotation that small formats are behind, times its norm; the same in every process.
std::vector<float> signs_of(int64_t head_dim);

// Tokens that a sequence gains.
struct Growth {
  int64_t sequence, tokens;
};

// Keys and values of many sequences in pages. A sequence has a list of pages per group of layers; sequences
// that begin alike share pages, and a page that is shared is copied before it is written.
//
// A forward holds the lock that guard() gives, and calls what is said to need it; all else takes it itself.
class KvCache {
 public:
  // Tokens of a sequence at most: their places are int32.
  static constexpr int64_t kMaxLength = INT32_MAX;

  // Pages, and their memory as kernels want it; null where there is none.
  struct Pages {
    std::vector<Page*> pages;
    std::vector<char*> data;

    void resize(size_t count) {
      pages.resize(count, nullptr);
      data.resize(count, nullptr);
    }
    bool has(size_t i) const { return i < pages.size() && pages[i] != nullptr; }
    void put(size_t i, Page* page) {
      pages[i] = page;
      data[i] = page == nullptr ? nullptr : page->memory.as<char>();  // null on a device, too
    }
  };
  // Page i in full, small, or both for a while. Small are those of [first, shrunk) for the first page behind
  // the sinks; in full are missing those of [first, dropped).
  struct PageList {
    Pages exact, small;
    int64_t shrunk = 0, dropped = 0;
  };
  struct Sequence {
    int64_t length = 0;  // tokens
    int64_t shift = 0;   // position of the first: above 0 where pages before others were taken out
    int64_t position() const { return length + shift; }  // of the next token
    std::vector<PageList> groups;
  };

  // Throws Error(kInvalidArgument) for sizes out of range.
  KvCache(const std::vector<CacheLayer>& layers, CacheOptions options);

  // Each throws Error(kInvalidArgument) for a sequence that is not open, and fork() and forget() for more
  // tokens than it has.
  int64_t start(int64_t shift = 0);  // a new one without tokens; its first is to stand at `shift`
  int64_t fork(int64_t sequence, int64_t tokens);
  void forget(int64_t sequence, int64_t tokens);  // its last; and what was reserved for it
  void close(int64_t sequence);
  int64_t length(int64_t sequence) const;
  int64_t shift(int64_t sequence) const;
  // Pages [first, first + count) of a sequence, page_bytes() of each, the groups of layers in order; the last
  // one may be filled in part.
  // Only pages in full can be copied, put and turned; see can_move().
  void copy_pages(int64_t sequence, int64_t first, int64_t count, char* to) const;
  // Puts `put` pages in the place of `count` whole ones. Tokens behind them keep their positions, and those
  // before and between stand directly before them: their keys must have been turned for it. Throws
  // Error(kCacheFull) where there is no room for the new ones beside the old, and nothing has changed then.
  void splice(int64_t sequence, int64_t first, int64_t count, const char* pages, int64_t put);
  // Moves the keys of copied pages by `distance` positions; a rotation for each layer.
  void turn(char* pages, int64_t count, int64_t distance, const std::vector<KeyRotation>& rotations) const;
  // Copied pages in another format, and back: what a cache of that format would hold of their tokens.
  void encode(const char* pages, int64_t count, cached_attention::Format format, char* codes) const;
  void decode(const char* codes, int64_t count, cached_attention::Format format, char* pages) const;
  int64_t encoded_bytes(cached_attention::Format format) const;  // of a page
  // Keys of a layer of copied pages as they are turned, float32 [count * page_tokens, key_heads * head_dim].
  void read_keys(const char* pages, int64_t count, int64_t layer, float* keys) const;
  int64_t key_columns(int64_t layer) const;
  bool can_move() const { return !has_small() && options_.format != cached_attention::Format::kI8; }
  int64_t page_bytes() const { return full_bytes(); }
  // Sees to it that what will come cannot run out of pages midway: for all or none. Throws Error(kCacheFull).
  void reserve(const std::vector<Growth>& growth);
  // Gives the memory of free pages back to the system.
  void trim();

  // Moves all pages to memory of the host. False where a device gave them no more: they are zeros then, and
  // every token must be written again.
  bool to_host();
  // The tokens of a sequence from `tokens` on will be written again into the pages that it has; or were.
  // Where pages become small, all are written again: which of them are there in full depends on the last
  // token.
  void rewind(int64_t sequence, int64_t tokens);

  int64_t free_tokens() const;  // that fit into pages nobody owns
  int64_t used_bytes() const;   // of pages with owners
  int64_t held_bytes() const;   // those of free pages too
  int64_t bound_bytes() const { return pool_.bound(); }
  int64_t page_tokens() const { return options_.page_tokens; }
  int64_t groups() const { return static_cast<int64_t>(group_bytes_.size()); }

  std::unique_lock<std::mutex> guard() { return std::unique_lock<std::mutex>(mutex_); }

  // With the lock: takes the pages for what comes at once; the sequences; the tokens are written.
  void prepare(const std::vector<Growth>& growth);
  const Sequence& sequence(int64_t id) const;
  void commit(const std::vector<Growth>& growth);

  // With the lock: moves all pages to a device; they stay where they are when it throws DeviceFailure.
  void to_device(std::shared_ptr<device::Device> device);
  // The pages on a device; null where they are in memory of the host.
  const DevicePages* on_device() const { return pool_.device(); }
  // Where a layer lies there.
  struct DeviceLayer {
    int32_t group;
    int64_t key_heads;
    int64_t offset, small_offset;  // of its first head in a page, bytes
    cached_attention::Layout layout, small_layout;
    bool is_turned;
    int64_t signs_offset;  // among the constants, bytes; where it is turned and on a device
    int64_t bytes() const { return key_heads * layout.bytes; }  // in a page
    int64_t small_bytes() const { return key_heads * small_layout.bytes; }
  };
  DeviceLayer device_layer(int64_t layer) const;
  int64_t layers() const { return static_cast<int64_t>(places_.size()); }

  // Where a head of keys of a layer lies in a sequence's pages, and in its small ones.
  cached_attention::Head head(const Sequence& sequence, int64_t layer, int64_t head) const;
  cached_attention::Head small_head(const Sequence& sequence, int64_t layer, int64_t head) const;
  bool has_small() const { return cached_attention::is_small(options_.format); }
  // Tokens [first, second) that a token which sees `seen` tokens reads from small pages.
  std::pair<int64_t, int64_t> small_tokens(const Sequence& sequence, int64_t layer, int64_t seen) const;
  // Pages from the first that becomes small on; and how far behind one the end of what is seen must be.
  int64_t first_small() const { return pages_of(options_.sinks); }
  int64_t recent() const { return options_.recent; }
  // Pages [first, second) that must become small before `seen` tokens are seen.
  std::pair<int64_t, int64_t> pages_to_shrink(const PageList& list, int64_t seen) const;
  std::pair<int64_t, int64_t> pages_to_shrink(const Sequence& sequence, int64_t layer, int64_t seen) const;
  // Throws Error(kInvalidArgument) unless the layer has this form.
  void check_layer(int64_t layer, int64_t key_heads, int64_t head_dim) const;

 private:
  struct Place {
    CacheLayer layer;
    cached_attention::Layout layout = {}, small_layout = {};
    int64_t offset = 0, small_offset = 0;  // in a page
    std::vector<float> signs = {};         // of the rotation; empty: there is none
    int64_t signs_offset = -1;             // of them among the constants of a device
  };
  // Bytes that a sequence's growth needs, by what it is needed for.
  struct Need {
    int64_t exact = 0, small = 0;
  };

  void lay_out(const std::vector<CacheLayer>& layers);
  PagePool make_pool() const;
  void find_pages();
  void drop_lost();
  void settle(PageList& list);
  std::vector<DevicePages::Size> device_sizes() const;
  Sequence& find(int64_t id);
  int64_t pages_of(int64_t tokens) const;
  int64_t small_pages(int64_t seen) const;
  int64_t exact_overhead() const;
  void check_growth(const std::vector<Growth>& growth) const;
  void check_pages(const Sequence& sequence, int64_t first, int64_t count) const;
  void check_movable() const;
  std::vector<int64_t> group_begins() const;
  template <typename Body>
  void each_head(cached_attention::Format format, const Body& body) const;
  std::vector<PageList> take_pages(const char* pages, int64_t count);
  Page* open_page(const PageList& list, int64_t length) const;
  bool must_renew(const PageList& list, int64_t length) const;
  Need need(const Growth& growth, bool at_once) const;
  void check_room(const std::vector<Growth>& growth, bool at_once) const;
  [[noreturn]] void fail_full(int64_t tokens, int64_t bytes) const;
  void grow(Sequence& sequence, int64_t tokens);
  void renew_last(PageList& list, size_t group, int64_t length);
  void expand(Page* small, size_t group, Page* to);
  void drop(Pages& pages, size_t i);
  void cut(Sequence& sequence);
  void drop_exact(PageList& list, int64_t length);
  int64_t full_bytes() const;   // of a page of every group
  int64_t small_bytes() const;  // likewise

  CacheOptions options_;
  std::vector<Place> places_;         // by layer
  std::vector<int64_t> group_bytes_;  // of a page
  std::vector<int64_t> group_small_bytes_;
  PagePool pool_;
  std::map<int64_t, Sequence> sequences_;
  int64_t next_ = 0;
  mutable std::mutex mutex_;
};

// What a forward over a cache needs: the sequences of its batch, in order.
struct CacheRun {
  const KvCache* cache;
  std::vector<const KvCache::Sequence*> sequences;
};

}  // namespace arrowmind::runtime
