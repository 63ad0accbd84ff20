#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "proxy/base/buffer.h"

// Memory that lives as long as one request: bump allocation from 4 KiB chunks of a thread's free list, given back all
// at once. Destructors of what is made in it are not run. One thread.

namespace weft::base {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  void* allocate(size_t bytes, size_t alignment = alignof(std::max_align_t)) {
    uintptr_t start = (position_ + alignment - 1) & ~(static_cast<uintptr_t>(alignment) - 1);
    if (__builtin_expect(start + bytes > end_ || position_ == 0, 0)) return allocate_slow(bytes, alignment);
    position_ = start + bytes;
    return reinterpret_cast<void*>(start);
  }

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }

  template <typename T>
  T* make_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_default_constructible_v<T>);
    return static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* bytes = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(bytes, text.data(), text.size());
    return {bytes, text.size()};
  }
  // The pieces one after another, as one text.
  std::string_view concat(std::string_view a, std::string_view b, std::string_view c = {}, std::string_view d = {});

  // Keeps the storage of the slice alive until reset(), so that views into it need no copy.
  void pin(const Slice& slice);

  // Gives back everything; all views end.
  void reset();

  size_t allocated_bytes() const { return allocated_bytes_; }

 private:
  struct Chunk {
    Chunk* next;
    size_t size_bytes;
  };
  struct Pin {
    Pin* next;
    Slice slice;
  };
  void* allocate_slow(size_t bytes, size_t alignment);

  uintptr_t position_ = 0;
  uintptr_t end_ = 0;
  Chunk* chunks_ = nullptr;
  Pin* pins_ = nullptr;
  size_t allocated_bytes_ = 0;
};

}  // namespace weft::base
