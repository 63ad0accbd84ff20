#include "proxy/base/arena.h"

#include <algorithm>

#include "proxy/base/free_list.h"

namespace weft::base {
namespace {

constexpr size_t kChunkBytes = 4096;
constexpr size_t kMostKeptChunks = 512;
thread_local FreeList<kChunkBytes, kMostKeptChunks> free_chunks;

void* take_chunk(size_t size_bytes) {
  return size_bytes == kChunkBytes ? free_chunks.take() : ::operator new(size_bytes);
}

void give_chunk(void* chunk, size_t size_bytes) {
  size_bytes == kChunkBytes ? free_chunks.give(chunk) : ::operator delete(chunk);
}

}  // namespace

void* Arena::allocate_slow(size_t bytes, size_t alignment) {
  size_t needed = sizeof(Chunk) + bytes + alignment;
  size_t size_bytes = std::max(needed, kChunkBytes);
  auto* chunk = static_cast<Chunk*>(take_chunk(size_bytes));
  chunk->next = chunks_;
  chunk->size_bytes = size_bytes;
  chunks_ = chunk;
  allocated_bytes_ += size_bytes;
  uintptr_t start = reinterpret_cast<uintptr_t>(chunk + 1);
  start = (start + alignment - 1) & ~(static_cast<uintptr_t>(alignment) - 1);
  uintptr_t end = reinterpret_cast<uintptr_t>(chunk) + size_bytes;
  // A large piece gets a chunk of its own; the one in use goes on being filled.
  if (position_ == 0 || end - (start + bytes) > end_ - position_) {
    position_ = start + bytes;
    end_ = end;
  }
  return reinterpret_cast<void*>(start);
}

std::string_view Arena::concat(std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
  size_t size = a.size() + b.size() + c.size() + d.size();
  char* start = static_cast<char*>(allocate(size, 1));
  char* to = start;
  for (std::string_view piece : {a, b, c, d}) {
    if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  return {start, size};
}

void Arena::pin(const Slice& slice) {
  void* memory = allocate(sizeof(Pin), alignof(Pin));
  pins_ = new (memory) Pin{pins_, slice};
}

void Arena::reset() {
  while (pins_ != nullptr) {
    Pin* next = pins_->next;
    pins_->~Pin();
    pins_ = next;
  }
  while (chunks_ != nullptr) {
    Chunk* next = chunks_->next;
    give_chunk(chunks_, chunks_->size_bytes);
    chunks_ = next;
  }
  position_ = end_ = 0;
  allocated_bytes_ = 0;
}

}  // namespace weft::base
