#include "api/text/nearest.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace weft::text {

namespace {

// Longer names than any of ours are cut, so that hostile input cannot make the comparison costly.
constexpr size_t kMaxNameLength = 80;

std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, kMaxNameLength)) {
    if (c != '_' && c != '-') out += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return out;
}

size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string wanted = folded(name);
  const size_t allowed = std::max<size_t>(1, wanted.size() / 3);
  size_t fewest = allowed + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const size_t count = edits(wanted, folded(candidate));
    if (count < fewest) {
      fewest = count;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace weft::text
