#include "proxy/base/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "proxy/base/free_list.h"

namespace weft::base {
namespace {

// At most 4 MiB of free blocks are kept by a thread; beyond that they go back to the allocator.
constexpr size_t kMostKeptBlocks = 256;
thread_local FreeList<sizeof(Block) + Block::kDataBytes, kMostKeptBlocks> free_blocks;
thread_local size_t used_blocks = 0;

}  // namespace

Block* Block::make(size_t capacity_bytes) {
  void* memory;
  if (capacity_bytes == kDataBytes) {
    ++used_blocks;
    memory = free_blocks.take();
  } else {
    memory = ::operator new(sizeof(Block) + capacity_bytes);
  }
  auto* block = static_cast<Block*>(memory);
  block->references = 1;
  block->used_bytes = 0;
  block->capacity_bytes = static_cast<uint32_t>(capacity_bytes);
  return block;
}

void Block::recycle(Block* block) {
  if (block->capacity_bytes != kDataBytes) return ::operator delete(block);
  --used_blocks;
  free_blocks.give(block);
}

size_t blocks_in_use() { return used_blocks; }

void Buffer::take(Buffer& other) noexcept {
  if (other.slices_ == other.inline_slices_) {
    slices_ = inline_slices_;
    capacity_ = kInlineSlices;
    for (uint32_t i = 0; i < kInlineSlices; ++i) inline_slices_[i] = std::move(other.inline_slices_[i]);
  } else {
    slices_ = other.slices_;
    capacity_ = other.capacity_;
    other.slices_ = other.inline_slices_;
    other.capacity_ = kInlineSlices;
  }
  first_ = other.first_;
  count_ = other.count_;
  size_ = other.size_;
  tail_ = other.tail_;
  other.first_ = other.count_ = 0;
  other.size_ = 0;
  other.tail_ = nullptr;
}

void Buffer::release_slices() {
  if (slices_ != inline_slices_) {
    delete[] slices_;
    slices_ = inline_slices_;
    capacity_ = kInlineSlices;
  }
}

void Buffer::clear() {
  while (count_ != 0) pop_front();
  size_ = 0;
  first_ = 0;
  trim();
}

void Buffer::trim() {
  if (tail_ == nullptr) return;
  tail_->release();
  tail_ = nullptr;
}

void Buffer::push(Slice&& slice) {
  if (count_ == capacity_) {
    auto* grown = new Slice[capacity_ * 2];
    for (uint32_t i = 0; i < count_; ++i) grown[i] = std::move(slices_[(first_ + i) & (capacity_ - 1)]);
    if (slices_ != inline_slices_) delete[] slices_;
    slices_ = grown;
    capacity_ *= 2;
    first_ = 0;
  }
  slices_[(first_ + count_) & (capacity_ - 1)] = std::move(slice);
  ++count_;
}

void Buffer::pop_front() {
  slices_[first_] = Slice();
  first_ = (first_ + 1) & (capacity_ - 1);
  --count_;
}

void Buffer::append(Slice slice) {
  if (slice.size() == 0) return;
  size_ += slice.size();
  if (count_ != 0) {
    Slice& end = last();
    if (end.block_ == slice.block_ && end.block_ != nullptr && end.data_ + end.size_ == slice.data_) {
      end.size_ += slice.size();
      return;
    }
  }
  push(std::move(slice));
}

void Buffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    Room room = reserve();
    size_t n = std::min(room.size, bytes.size());
    std::memcpy(room.data, bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

void Buffer::move_from(Buffer& from) {
  if (size_ == 0 && count_ == 0 && tail_ == nullptr && slices_ == inline_slices_) {
    take(from);
    return;
  }
  while (from.count_ != 0) {
    append(std::move(from.slices_[from.first_]));
    from.pop_front();
  }
  from.size_ = 0;
}

void Buffer::move_from(Buffer& from, size_t n) {
  WEFT_ASSERT(n <= from.size_);
  while (n != 0) {
    Slice& front = from.slices_[from.first_];
    if (front.size() <= n) {
      size_t moved = front.size();
      append(std::move(front));
      from.pop_front();
      from.size_ -= moved;
      n -= moved;
    } else {
      append(front.first(n));
      front.remove_prefix(n);
      from.size_ -= n;
      n = 0;
    }
  }
}

void Buffer::share_from(const Buffer& from) {
  for (uint32_t i = 0; i < from.count_; ++i) append(Slice(from.at(i)));
}

void Buffer::drain(size_t n) {
  WEFT_ASSERT(n <= size_);
  size_ -= n;
  while (n != 0) {
    Slice& front = slices_[first_];
    if (front.size() > n) {
      front.remove_prefix(n);
      return;
    }
    n -= front.size();
    pop_front();
  }
}

std::string_view Buffer::linearize(size_t n) {
  WEFT_ASSERT(n <= size_);
  if (n == 0) return {};
  if (slices_[first_].size() >= n) return slices_[first_].view().substr(0, n);
  // Beyond a block's size there is as much room again, so that a piece that grows and is made contiguous each time is
  // copied a few times and not once for every byte.
  Block* block = Block::make(n <= Block::kDataBytes ? Block::kDataBytes : n * 2);
  size_t copied = 0;
  while (copied < n) {
    std::string_view piece = slices_[first_].view().substr(0, n - copied);
    std::memcpy(block->data + copied, piece.data(), piece.size());
    copied += piece.size();
    slices_[first_].remove_prefix(piece.size());
    if (slices_[first_].size() == 0) pop_front();
  }
  block->used_bytes = static_cast<uint32_t>(n);
  // The first piece was shorter than n, so it is used up and the ring has a free place at its front.
  first_ = (first_ - 1) & (capacity_ - 1);
  slices_[first_] = Slice(block, block->data, n);
  ++count_;
  if (count_ == 1 && n < block->capacity_bytes) {
    trim();
    tail_ = block;
  } else {
    block->release();
  }
  return slices_[first_].view();
}

int Buffer::pieces(struct iovec* out, int max) const {
  int n = static_cast<int>(std::min<uint32_t>(count_, static_cast<uint32_t>(max)));
  for (int i = 0; i < n; ++i) {
    const Slice& slice = at(static_cast<uint32_t>(i));
    out[i].iov_base = const_cast<char*>(slice.data());
    out[i].iov_len = slice.size();
  }
  return n;
}

Buffer::Room Buffer::reserve(size_t least_bytes) {
  WEFT_ASSERT(least_bytes <= Block::kDataBytes);
  if (tail_ != nullptr) {
    if (tail_->references == 1) tail_->used_bytes = 0;  // Nobody sees its bytes any more: start over.
    if (tail_->capacity_bytes - tail_->used_bytes >= least_bytes) {
      return {tail_->data + tail_->used_bytes, tail_->capacity_bytes - tail_->used_bytes};
    }
    tail_->release();
  }
  tail_ = Block::make();
  return {tail_->data, tail_->capacity_bytes};
}

void Buffer::commit(size_t n) {
  if (n == 0) return;
  char* start = tail_->data + tail_->used_bytes;
  tail_->used_bytes += static_cast<uint32_t>(n);
  append(Slice(tail_, start, n));
}

std::string Buffer::to_string() const {
  std::string text;
  text.reserve(size_);
  for (uint32_t i = 0; i < count_; ++i) text.append(at(i).view());
  return text;
}

}  // namespace weft::base
