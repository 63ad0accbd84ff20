#include "tools/weftctl/text.h"

#include <algorithm>
#include <cstdint>

namespace weft::weftctl {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// Each line of both texts once: ' ' in both, '-' only before, '+' only after; by the longest common subsequence.
std::vector<std::pair<char, std::string_view>> align(const std::vector<std::string_view>& a,
                                                     const std::vector<std::string_view>& b) {
  std::vector<std::vector<uint32_t>> common(a.size() + 1, std::vector<uint32_t>(b.size() + 1));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::vector<std::pair<char, std::string_view>> out;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out.emplace_back(' ', a[i++]);
      ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      out.emplace_back('-', a[i++]);
    } else {
      out.emplace_back('+', b[j++]);
    }
  }
  return out;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] + 2 - row[i].size(), ' ');
    }
    out += '\n';
  }
  return out;
}

std::string difference(std::string_view before, std::string_view after) {
  constexpr size_t kAround = 3;
  if (before == after) return "";
  const auto lines = align(lines_of(before), lines_of(after));
  std::vector<bool> shown(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].first == ' ') continue;
    const size_t first = i < kAround ? 0 : i - kAround;
    for (size_t j = first; j < std::min(lines.size(), i + kAround + 1); ++j) shown[j] = true;
  }
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!shown[i]) continue;
    if (i > 0 && !shown[i - 1]) out += "  …\n";
    out += lines[i].first;
    out += ' ';
    out += lines[i].second;
    out += '\n';
  }
  return out;
}

}  // namespace weft::weftctl
