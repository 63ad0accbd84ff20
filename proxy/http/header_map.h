#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/http/header_id.h"

// The headers (or trailers) of one message: a flat list in the order of arrival. Names and values are views into the
// arena of the stream, or into blocks pinned there; a name keeps the letter case in which it came. Pseudo-headers are
// not in it (see message.h). One thread; ends with its arena.

namespace weft::http {

struct Header {
  HeaderId id = HeaderId::kOther;
  bool never_index = false;  // RFC 7541, 6.2.3: an HPACK encoder must not put it in a table.
  std::string_view name;
  std::string_view value;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);

class HeaderMap {
 public:
  explicit HeaderMap(base::Arena& arena) : arena_(&arena) {}

  base::Arena& arena() const { return *arena_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Names and values, without separators.
  size_t byte_size() const { return byte_size_; }
  const Header* begin() const { return entries_; }
  const Header* end() const { return entries_ + size_; }

  // Name and value must live as long as the arena.
  void add_view(HeaderId id, std::string_view name, std::string_view value, bool never_index = false) {
    if (size_ == capacity_) grow();
    entries_[size_++] = Header{id, never_index, name, value};
    byte_size_ += name.size() + value.size();
    if (id != HeaderId::kOther) present_ |= bit(id);
  }
  // Copies name and value into the arena.
  void add(std::string_view name, std::string_view value) {
    add_view(header_id(name), arena_->copy(name), arena_->copy(value));
  }
  void add(HeaderId id, std::string_view value) { add_view(id, header_name(id), arena_->copy(value)); }
  // For a value that outlives the message: a literal, or the configuration that the request keeps.
  void add_static(HeaderId id, std::string_view value) { add_view(id, header_name(id), value); }

  bool has(HeaderId id) const { return (present_ & bit(id)) != 0; }
  // The first with this name, or nullptr.
  const Header* find(HeaderId id) const;
  const Header* find(std::string_view name) const;
  // The first value with this name, or an empty view.
  std::string_view value(HeaderId id) const {
    const Header* header = has(id) ? find(id) : nullptr;
    return header == nullptr ? std::string_view() : header->value;
  }
  // All values with this name joined with "," as RFC 9110, 5.2 allows; a copy only if there are several. False if none.
  bool joined_value(std::string_view name, std::string_view* value) const;
  bool joined_value(HeaderId id, std::string_view* value) const { return has(id) && join_present(id, value); }

  // Leaves exactly one with this name, in the first one's place, or added at the end. Copies the value.
  void set(HeaderId id, std::string_view value);
  void set(std::string_view name, std::string_view value);
  // Removes all with this name; says how many there were.
  size_t remove(HeaderId id) { return has(id) ? remove_present(id) : 0; }
  size_t remove(std::string_view name);
  void clear();

 private:
  static uint64_t bit(HeaderId id) { return uint64_t{1} << static_cast<int>(id); }
  bool join_present(HeaderId id, std::string_view* value) const;
  size_t remove_present(HeaderId id);
  template <typename Matches>
  bool join_if(Matches matches, std::string_view* value) const;
  template <typename Matches>
  size_t remove_if(Matches matches);
  template <typename Matches>
  bool set_if(Matches matches, std::string_view value);
  void grow();

  base::Arena* arena_;
  Header* entries_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
  size_t byte_size_ = 0;
  uint64_t present_ = 0;
};

}  // namespace weft::http
