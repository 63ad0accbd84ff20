#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/assert.h"

// Byte buffers that move instead of copying. A Buffer is a queue of slices of reference-counted 16 KiB blocks; the
// blocks come from a free list of the calling thread. Buffers, slices and blocks belong to one thread: counts are plain
// integers, and a block must be released on the thread that made it.

namespace weft::base {

// The storage behind slices. Only Slice and Buffer touch it.
struct Block {
  static constexpr size_t kDataBytes = 16 * 1024;
  uint32_t references;
  uint32_t used_bytes;  // Bytes of `data` that some slice may see; the rest is free for the last reader to fill.
  uint32_t capacity_bytes;
  alignas(16) char data[];

  static Block* make(size_t capacity_bytes = kDataBytes);
  void retain() { ++references; }
  void release() {
    if (--references == 0) recycle(this);
  }
  static void recycle(Block* block);
};

// The number of 16 KiB blocks in use by the calling thread (not those on its free list).
size_t blocks_in_use();

// A read-only range of bytes that keeps its storage alive. With no block it is a view of bytes that live forever.
class Slice {
 public:
  Slice() = default;
  Slice(Block* block, const char* data, size_t size) : block_(block), data_(data), size_(size) {
    if (block_ != nullptr) block_->retain();
  }
  Slice(const Slice& other) : Slice(other.block_, other.data_, other.size_) {}
  Slice(Slice&& other) noexcept : block_(other.block_), data_(other.data_), size_(other.size_) {
    other.block_ = nullptr;
    other.size_ = 0;
  }
  Slice& operator=(Slice other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() {
    if (block_ != nullptr) block_->release();
  }
  static Slice of_static(std::string_view text) { return Slice(nullptr, text.data(), text.size()); }

  std::string_view view() const { return {data_, size_}; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  void remove_prefix(size_t n) {
    data_ += n;
    size_ -= n;
  }
  // n bytes from `data`, which points into this slice, as a slice of its own.
  Slice part(const char* data, size_t n) const { return Slice(block_, data, n); }
  // The first n bytes as a slice of its own.
  Slice first(size_t n) const { return Slice(block_, data_, n); }

 private:
  friend class Buffer;
  Block* block_ = nullptr;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept { take(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      clear();
      release_slices();
      take(other);
    }
    return *this;
  }
  ~Buffer() {
    clear();
    release_slices();
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Drops all bytes and gives the blocks back.
  void clear();

  // Appends a copy of the bytes, filling the last block first.
  void append(std::string_view bytes);
  // Appends bytes that outlive every buffer (string literals, rendered constants).
  void append_static(std::string_view bytes) { append(Slice::of_static(bytes)); }
  void append(Slice slice);

  // Moves all, or the first n, bytes of `from` to the end of this buffer without copying them.
  void move_from(Buffer& from);
  void move_from(Buffer& from, size_t n);
  // Appends references to all bytes of `from`, which keeps them too.
  void share_from(const Buffer& from);

  // Removes the first n bytes; n ≤ size().
  void drain(size_t n);

  // The first contiguous piece (empty only when the buffer is).
  std::string_view front() const { return count_ == 0 ? std::string_view() : slices_[first_].view(); }
  // The first piece as a slice that keeps its storage alive.
  Slice front_slice() const { return count_ == 0 ? Slice() : slices_[first_]; }
  // Makes the first n bytes contiguous, copying only if they are not; n ≤ size().
  std::string_view linearize(size_t n);

  // Up to `max` pieces from the front, for writev. Returns how many were filled in.
  int pieces(struct iovec* out, int max) const;

  // Writable room after the last byte: at least one byte, at best a whole block. What is then written there becomes
  // part of the buffer by commit(n). Nothing else may be done to the buffer in between.
  struct Room {
    char* data;
    size_t size;
  };
  Room reserve(size_t least_bytes = 1);
  void commit(size_t n);
  // Gives back a block that reserve() took and that holds no byte of this buffer.
  void trim();

  std::string to_string() const;

 private:
  static constexpr uint32_t kInlineSlices = 4;
  void take(Buffer& other) noexcept;
  void release_slices();
  void push(Slice&& slice);
  void pop_front();
  Slice& last() { return slices_[(first_ + count_ - 1) & (capacity_ - 1)]; }
  const Slice& at(uint32_t i) const { return slices_[(first_ + i) & (capacity_ - 1)]; }

  Slice inline_slices_[kInlineSlices];
  Slice* slices_ = inline_slices_;  // A ring; its capacity is a power of two.
  uint32_t capacity_ = kInlineSlices;
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  size_t size_ = 0;
  Block* tail_ = nullptr;  // The block that reserve() handed out; referenced.
};

}  // namespace weft::base
