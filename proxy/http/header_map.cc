#include "proxy/http/header_map.h"

#include <algorithm>

namespace weft::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

void HeaderMap::grow() {
  uint32_t capacity = capacity_ == 0 ? 24 : capacity_ * 2;
  auto* entries = static_cast<Header*>(arena_->allocate(sizeof(Header) * capacity, alignof(Header)));
  std::copy(entries_, entries_ + size_, entries);
  entries_ = entries;
  capacity_ = capacity;
}

const Header* HeaderMap::find(HeaderId id) const {
  if (!has(id)) return nullptr;
  for (const Header& header : *this) {
    if (header.id == id) return &header;
  }
  return nullptr;
}

const Header* HeaderMap::find(std::string_view name) const {
  HeaderId id = header_id(name);
  if (id != HeaderId::kOther) return find(id);
  for (const Header& header : *this) {
    if (header.id == HeaderId::kOther && equals_ignoring_case(header.name, name)) return &header;
  }
  return nullptr;
}

template <typename Matches>
bool HeaderMap::join_if(Matches matches, std::string_view* value) const {
  bool found = false;
  for (const Header& header : *this) {
    if (!matches(header)) continue;
    *value = found ? arena_->concat(*value, ",", header.value) : header.value;
    found = true;
  }
  return found;
}

bool HeaderMap::joined_value(std::string_view name, std::string_view* value) const {
  HeaderId id = header_id(name);
  if (id != HeaderId::kOther) return joined_value(id, value);
  return join_if(
      [name](const Header& header) { return header.id == HeaderId::kOther && equals_ignoring_case(header.name, name); },
      value);
}

bool HeaderMap::join_present(HeaderId id, std::string_view* value) const {
  return join_if([id](const Header& header) { return header.id == id; }, value);
}

template <typename Matches>
size_t HeaderMap::remove_if(Matches matches) {
  uint32_t kept = 0;
  uint64_t present = 0;
  for (uint32_t i = 0; i < size_; ++i) {
    if (matches(entries_[i])) {
      byte_size_ -= entries_[i].name.size() + entries_[i].value.size();
      continue;
    }
    if (entries_[i].id != HeaderId::kOther) present |= bit(entries_[i].id);
    entries_[kept++] = entries_[i];
  }
  size_t removed = size_ - kept;
  size_ = kept;
  present_ = present;
  return removed;
}

template <typename Matches>
bool HeaderMap::set_if(Matches matches, std::string_view value) {
  Header* first = std::find_if(entries_, entries_ + size_, matches);
  if (first == entries_ + size_) return false;
  byte_size_ += value.size() - first->value.size();
  first->value = arena_->copy(value);
  bool another = std::any_of(first + 1, entries_ + size_, matches);
  if (another) {
    const Header* kept = first;
    remove_if([&](const Header& header) { return &header != kept && matches(header); });
  }
  return true;
}

void HeaderMap::set(HeaderId id, std::string_view value) {
  auto matches = [id](const Header& header) { return header.id == id; };
  if (!has(id) || !set_if(matches, value)) add(id, value);
}

void HeaderMap::set(std::string_view name, std::string_view value) {
  HeaderId id = header_id(name);
  if (id != HeaderId::kOther) return set(id, value);
  auto matches = [name](const Header& header) {
    return header.id == HeaderId::kOther && equals_ignoring_case(header.name, name);
  };
  if (!set_if(matches, value)) add(name, value);
}

size_t HeaderMap::remove_present(HeaderId id) {
  return remove_if([id](const Header& header) { return header.id == id; });
}

size_t HeaderMap::remove(std::string_view name) {
  HeaderId id = header_id(name);
  if (id != HeaderId::kOther) return remove(id);
  return remove_if([name](const Header& header) {
    return header.id == HeaderId::kOther && equals_ignoring_case(header.name, name);
  });
}

void HeaderMap::clear() {
  size_ = 0;
  byte_size_ = 0;
  present_ = 0;
}

}  // namespace weft::http
