#pragma once

#include <cstddef>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef WEFT_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

// Memory for objects of one size that come and go with every request: what is given back is kept for the next, up to a
// bound, so that the allocator is not asked. Meant to be a thread_local of the file that uses it; one thread. What is
// given back after the thread's list has ended goes straight to the allocator. Under AddressSanitizer, memory on the
// list may not be touched.

namespace weft::base {

template <size_t kBytes, size_t kMostKept>
class FreeList {
  static_assert(kBytes >= sizeof(void*));

 public:
  constexpr FreeList() = default;
  FreeList(const FreeList&) = delete;
  FreeList& operator=(const FreeList&) = delete;
  ~FreeList() {
    while (head_ != nullptr) ::operator delete(pop());
    count_ = kMostKept;
  }

  // kBytes, aligned for any object. Free it by give().
  void* take() { return head_ == nullptr ? ::operator new(kBytes) : pop(); }

  void give(void* memory) {
    if (count_ >= kMostKept) return ::operator delete(memory);
    *static_cast<void**>(memory) = head_;
    head_ = memory;
    ++count_;
#ifdef WEFT_ADDRESS_SANITIZER
    ASAN_POISON_MEMORY_REGION(memory, kBytes);
#endif
  }

  // How many are kept for the next.
  size_t kept() const { return count_; }

 private:
  void* pop() {
    void* memory = head_;
#ifdef WEFT_ADDRESS_SANITIZER
    ASAN_UNPOISON_MEMORY_REGION(memory, kBytes);
#endif
    head_ = *static_cast<void**>(memory);
    --count_;
    return memory;
  }

  void* head_ = nullptr;
  size_t count_ = 0;
};

}  // namespace weft::base
