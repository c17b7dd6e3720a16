#include "arrow/hash_tree.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "arrow/read_through.h"
#include "base/checked.h"
#include "base/error.h"

// Section: magic | version, log2 of the chunk size, zeros to 16 | data bytes | chunks | root | hashes | zeros
// to 64
namespace arrowmind::arrow {
namespace {

constexpr std::string_view kMagic = "ARROWMRK";
constexpr uint8_t kVersion = 1;
constexpr uint8_t kChunkLog2 = 16;
constexpr int64_t kChunk = int64_t{1} << kChunkLog2;
constexpr int64_t kAlignment = 64;
constexpr int64_t kDigestBytes = 32;
constexpr int64_t kHeadBytes = 32;                // of the section, without the root
constexpr int64_t kMaxChunks = int64_t{1} << 22;  // 256 GiB of file, 128 MiB of hashes
constexpr int64_t kGroup = 16;                    // chunks hashed at once: the lanes of AVX-512
constexpr uint8_t kLeaf = 0, kNode = 1, kRoot = 2;
// How long chunks that other threads hash are waited for before they are hashed here, too: those threads may
// be of a process that was forked.
constexpr auto kPatience = std::chrono::milliseconds(200);
constexpr auto kNap = std::chrono::microseconds(50);

void store_u64(uint8_t* bytes, int64_t value) {
  for (int i = 0; i < 8; ++i, value >>= 8) bytes[i] = static_cast<uint8_t>(value);
}

int64_t chunks_in(int64_t bytes) {
  return ceil_div(bytes, kChunk);
}

void hash_leaves(const uint8_t* const* data, int64_t size, int64_t count, Digest* out) {
  sha256_each(kLeaf, data, size, count, out);
}

// Hash of the whole tree over `leaves` (RFC 6962: an odd node moves up as it is).
Digest tree_hash(std::vector<Digest> level) {
  if (level.empty()) return Sha256().finish();
  std::vector<const uint8_t*> pairs;
  std::vector<Digest> above;
  while (level.size() > 1) {
    const size_t count = level.size() / 2;
    pairs.clear();
    for (size_t i = 0; i < count; ++i) pairs.push_back(level[2 * i].data());
    above.resize(count);
    sha256_each(kNode, pairs.data(), 2 * kDigestBytes, static_cast<int64_t>(count), above.data());
    if (level.size() % 2 != 0) above.push_back(level.back());
    level.swap(above);
  }
  return level[0];
}

// Binds the tree to the place of the section and the size of the file.
Digest root_hash(const std::vector<Digest>& leaves, int64_t data_bytes, int64_t rest_bytes) {
  uint8_t head[1 + 8 + 2 + 8 + 8] = {kRoot};
  std::memcpy(head + 1, kMagic.data(), kMagic.size());
  head[9] = kVersion;
  head[10] = kChunkLog2;
  store_u64(head + 11, data_bytes);
  store_u64(head + 19, rest_bytes);
  const Digest tree = tree_hash(leaves);
  Sha256 sha;
  sha.update(head, sizeof(head));
  sha.update(tree.data(), kDigestBytes);
  return sha.finish();
}

// The section as a writer makes it; a reader compares every byte of it.
std::vector<uint8_t> encode(const std::vector<Digest>& leaves, int64_t data_bytes, const Digest& root) {
  const int64_t count = static_cast<int64_t>(leaves.size());
  std::vector<uint8_t> section(
      static_cast<size_t>(round_up(kHeadBytes + kDigestBytes * (1 + count), kAlignment)));
  std::memcpy(section.data(), kMagic.data(), kMagic.size());
  section[8] = kVersion;
  section[9] = kChunkLog2;
  store_u64(section.data() + 16, data_bytes);
  store_u64(section.data() + 24, count);
  uint8_t* place = section.data() + kHeadBytes;
  std::memcpy(place, root.data(), kDigestBytes);
  if (count > 0) std::memcpy(place + kDigestBytes, leaves.data(), static_cast<size_t>(kDigestBytes * count));
  return section;
}

}  // namespace

HashTree::HashTree(std::shared_ptr<const MappedFile> file, int64_t data_bytes, int64_t footer)
    : file_(std::move(file)), data_bytes_(data_bytes), footer_(footer), data_chunks_(chunks_in(data_bytes)) {}

std::shared_ptr<const HashTree> HashTree::open(std::shared_ptr<const MappedFile> file, int64_t offset,
                                               int64_t footer) {
  const std::shared_ptr<HashTree> tree(new HashTree(std::move(file), offset, footer));
  tree->read_section();
  tree->verify({{footer, tree->file_->size() - footer}}, "the footer", true);
  return tree;
}

void HashTree::read_section() {
  const int64_t rest = file_->size() - footer_;
  const int64_t count = data_chunks_ + chunks_in(rest);
  const int64_t size = round_up(kHeadBytes + kDigestBytes * (1 + count), kAlignment);
  if (data_bytes_ % kAlignment != 0 || count > kMaxChunks || footer_ - data_bytes_ != size) {
    damaged(cat("its hash tree lies at [", data_bytes_, ", ", footer_, "); a file of ", file_->size(),
                " bytes has ", size, " bytes of it"));
  }
  const std::vector<uint8_t> section = file_->read(data_bytes_, size);
  const uint8_t* place = section.data() + kHeadBytes;
  leaves_.resize(static_cast<size_t>(count));
  std::memcpy(root_.data(), place, kDigestBytes);
  std::memcpy(leaves_.data(), place + kDigestBytes, static_cast<size_t>(kDigestBytes * count));
  if (section != encode(leaves_, data_bytes_, root_)) damaged("the head of its hash tree is not that of one");
  if (root_hash(leaves_, data_bytes_, rest) != root_)
    damaged("its hashes do not give the root of its hash tree");
  states_ = std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(count));
}

void HashTree::damaged(std::string_view what) const {
  fail(ErrorKind::kIntegrity, file_->path(), ": ", what,
       "; the file is damaged or was changed, copy it again");
}

int64_t HashTree::chunk_begin(int64_t chunk) const {
  return chunk < data_chunks_ ? chunk * kChunk : footer_ + (chunk - data_chunks_) * kChunk;
}

int64_t HashTree::chunk_size(int64_t chunk) const {
  const int64_t end = chunk < data_chunks_ ? data_bytes_ : file_->size();
  return std::min(kChunk, end - chunk_begin(chunk));
}

std::vector<int64_t> HashTree::chunks_of(const std::vector<FileRange>& ranges) const {
  std::vector<int64_t> chunks;
  for (const FileRange& range : ranges) {
    if (range.size <= 0) continue;
    const bool in_data = range_fits(range.offset, range.size, data_bytes_);
    if (!in_data && (range.offset < footer_ || !range_fits(range.offset, range.size, file_->size()))) {
      damaged(cat("bytes [", range.offset, ", ", range.offset + range.size,
                  ") are not covered by its hash tree"));
    }
    const int64_t base = in_data ? 0 : footer_;
    const int64_t first = (range.offset - base) / kChunk + (in_data ? 0 : data_chunks_);
    const int64_t last = (range.offset + range.size - 1 - base) / kChunk + (in_data ? 0 : data_chunks_);
    for (int64_t chunk = first; chunk <= last; ++chunk) {
      if (states_[static_cast<size_t>(chunk)].load(std::memory_order_acquire) != kSound)
        chunks.push_back(chunk);
    }
  }
  std::sort(chunks.begin(), chunks.end());
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  return chunks;
}

FileRange HashTree::range_of(const void* data, int64_t size) const {
  const int64_t offset = static_cast<const uint8_t*>(data) - file_->data();
  if (size == 0) return {};
  if (!range_fits(offset, size, file_->size())) {
    fail(ErrorKind::kInvalidArgument, file_->path(),
         ": memory that is not of its mapping cannot be verified");
  }
  return {offset, size};
}

void HashTree::verify(const void* data, int64_t size, std::string_view what) const {
  verify({range_of(data, size)}, what);
}

bool HashTree::is_verified(const void* data, int64_t size) const {
  const FileRange range = range_of(data, size);
  if (!range_fits(range.offset, range.size, data_bytes_)) return false;
  for (int64_t chunk = range.offset / kChunk; chunk * kChunk < range.offset + range.size; ++chunk) {
    if (states_[static_cast<size_t>(chunk)].load(std::memory_order_acquire) != kSound) return false;
  }
  return true;
}

void HashTree::verify(const std::vector<FileRange>& ranges, std::string_view what, bool is_private) const {
  const std::vector<int64_t> chunks = chunks_of(ranges);
  hash(claim(chunks), is_private);
  const Clock::time_point deadline = Clock::now() + kPatience;
  for (const int64_t chunk : chunks) {
    wait(chunk, deadline, is_private);
    if (states_[static_cast<size_t>(chunk)].load(std::memory_order_acquire) == kDamaged) {
      const int64_t begin = chunk_begin(chunk);
      damaged(cat(what, ": bytes [", begin, ", ", begin + chunk_size(chunk),
                  ") are not those that were written (SHA-256 of chunk ", chunk, " of its hash tree)"));
    }
  }
}

void HashTree::touch(const std::vector<FileRange>& ranges, ThreadPool& pool) const {
  hash(claim(chunks_of(ranges)), false, &pool);
}

// Those chunks that nobody hashed or hashes; they are now this thread's to hash.
std::vector<int64_t> HashTree::claim(const std::vector<int64_t>& chunks) const {
  std::vector<int64_t> mine;
  for (const int64_t chunk : chunks) {
    uint8_t expected = kUnknown;
    if (states_[static_cast<size_t>(chunk)].compare_exchange_strong(expected, kClaimed))
      mine.push_back(chunk);
  }
  return mine;
}

// Chunks of one size go through the lanes together.
void HashTree::hash(const std::vector<int64_t>& chunks, bool is_private, ThreadPool* pool) const {
  std::vector<std::pair<size_t, int64_t>> groups;
  for (size_t begin = 0; begin < chunks.size();) {
    const int64_t size = chunk_size(chunks[begin]);
    size_t end = begin;
    while (end < chunks.size() && end - begin < kGroup && chunk_size(chunks[end]) == size) ++end;
    groups.emplace_back(begin, static_cast<int64_t>(end - begin));
    begin = end;
  }
  std::vector<FileRange> pieces;     // of all groups, where they are read ahead
  std::vector<size_t> pieces_until;  // the end of each group
  for (const auto& [begin, count] : groups) {
    if (pool != nullptr) add_ranges(chunks.data() + begin, count, pieces);
    pieces_until.push_back(pieces.size());
  }
  ReadThrough reading(*file_, std::move(pieces));
  const auto run = [&](int64_t group, int /*worker*/) {
    const auto [begin, count] = groups[static_cast<size_t>(group)];
    reading.await(pieces_until[static_cast<size_t>(group)]);
    hash_group(chunks.data() + begin, count, is_private);
  };
  try {
    if (pool != nullptr) return pool->run(static_cast<int64_t>(groups.size()), run);
    for (size_t group = 0; group < groups.size(); ++group) run(static_cast<int64_t>(group), 0);
  } catch (...) {  // no memory, or the disk failed: others may try
    for (const int64_t chunk : chunks) {
      uint8_t expected = kClaimed;
      states_[static_cast<size_t>(chunk)].compare_exchange_strong(expected, kUnknown);
    }
    throw;
  }
}

// Neighbours as one: the disk is asked in as large pieces as there are.
void HashTree::add_ranges(const int64_t* chunks, int64_t count, std::vector<FileRange>& ranges) const {
  for (int64_t i = 0; i < count;) {
    int64_t next = i + 1;
    while (next < count && chunks[next] == chunks[next - 1] + 1) ++next;
    const int64_t begin = chunk_begin(chunks[i]), last = chunks[next - 1];
    ranges.push_back({begin, chunk_begin(last) + chunk_size(last) - begin});
    i = next;
  }
}

void HashTree::hash_group(const int64_t* chunks, int64_t count, bool is_private) const {
  std::vector<uint8_t> copies[kGroup];
  const uint8_t* data[kGroup];
  Digest found[kGroup];
  for (int64_t i = 0; i < count; ++i) {
    if (is_private) copies[i] = file_->read(chunk_begin(chunks[i]), chunk_size(chunks[i]));
    data[i] = is_private ? copies[i].data() : file_->data() + chunk_begin(chunks[i]);
  }
  hash_leaves(data, chunk_size(chunks[0]), count, found);
  hashed_ += count;
  for (int64_t i = 0; i < count; ++i) {
    const size_t chunk = static_cast<size_t>(chunks[i]);
    states_[chunk].store(found[i] == leaves_[chunk] ? kSound : kDamaged, std::memory_order_release);
  }
}

// Until another thread has hashed a chunk; hashes it here if that takes too long, or failed.
void HashTree::wait(int64_t chunk, Clock::time_point deadline, bool is_private) const {
  const auto& state = states_[static_cast<size_t>(chunk)];
  while (state.load(std::memory_order_acquire) == kClaimed && Clock::now() < deadline) {
    std::this_thread::sleep_for(kNap);
  }
  const uint8_t seen = state.load(std::memory_order_acquire);
  if (seen == kClaimed || seen == kUnknown) hash_group(&chunk, 1, is_private);
}

void HashTreeBuilder::update(const uint8_t* data, int64_t size) {
  position_ += size;
  if (!partial_.empty()) {
    const int64_t held = static_cast<int64_t>(partial_.size());
    const int64_t taken = std::min(size, kChunk - held);
    partial_.insert(partial_.end(), data, data + taken);
    data += taken, size -= taken;
    if (held + taken < kChunk) return;
    const uint8_t* whole = partial_.data();
    hash_leaves(&whole, kChunk, 1, &leaves_.emplace_back());
    partial_.clear();
  }
  const int64_t count = size / kChunk;
  std::vector<const uint8_t*> chunks;
  for (int64_t i = 0; i < count; ++i) chunks.push_back(data + i * kChunk);
  const size_t before = leaves_.size();
  leaves_.resize(before + static_cast<size_t>(count));
  hash_leaves(chunks.data(), kChunk, count, leaves_.data() + before);
  partial_.insert(partial_.end(), data + count * kChunk, data + size);
}

std::vector<uint8_t> HashTreeBuilder::section(const uint8_t* rest, int64_t size) {
  std::vector<Digest> leaves = leaves_;
  const auto add = [&leaves](const uint8_t* data, int64_t bytes) {
    for (int64_t begin = 0; begin < bytes; begin += kChunk) {
      const uint8_t* chunk = data + begin;
      hash_leaves(&chunk, std::min(kChunk, bytes - begin), 1, &leaves.emplace_back());
    }
  };
  add(partial_.data(), static_cast<int64_t>(partial_.size()));
  add(rest, size);
  if (static_cast<int64_t>(leaves.size()) > kMaxChunks || position_ % kAlignment != 0) {
    fail(ErrorKind::kInvalidArgument, "a hash tree at ", position_, " with ", leaves.size(),
         " chunks: at most ", kMaxChunks, " at a multiple of 64; write smaller files");
  }
  root_ = root_hash(leaves, position_, size);
  return encode(leaves, position_, root_);
}

}  // namespace arrowmind::arrow
