#include "proxy/route/path_index.h"

#include <algorithm>
#include <map>

#include "proxy/route/route_table.h"

namespace weft::route {

PathIndex::PathIndex(const std::vector<RouteEntry>& entries) {
  std::map<std::string_view, std::vector<uint32_t>> exact;
  std::map<size_t, std::map<std::string_view, std::vector<uint32_t>>> prefixes;
  std::vector<uint32_t> unindexed;
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const PathMatch& path = entries[i].path;
    if (!path.case_sensitive || path.kind == PathMatch::Kind::kRegex || path.kind == PathMatch::Kind::kConnect) {
      unindexed.push_back(i);
    } else if (path.kind == PathMatch::Kind::kExact) {
      exact[path.value].push_back(i);
    } else {
      prefixes[path.value.size()][path.value].push_back(i);
    }
  }
  while (prefixes.size() > kMaxLevels) {
    auto longest = std::prev(prefixes.end());
    for (const auto& [text, list] : longest->second) unindexed.insert(unindexed.end(), list.begin(), list.end());
    prefixes.erase(longest);
  }
  std::sort(unindexed.begin(), unindexed.end());

  auto keep = [&](const std::vector<uint32_t>& list) {
    auto begin = static_cast<uint32_t>(numbers_.size());
    numbers_.insert(numbers_.end(), list.begin(), list.end());
    return Range{begin, static_cast<uint32_t>(numbers_.size())};
  };
  for (const auto& [text, list] : exact) exact_.emplace(text, keep(list));
  for (const auto& [length, table] : prefixes) {
    Level level;
    level.length = length;
    for (const auto& [text, list] : table) level.table.emplace(text, keep(list));
    levels_.push_back(std::move(level));
  }
  unindexed_ = keep(unindexed);
}

size_t PathIndex::collect(std::string_view path, Cursor* cursors) const {
  size_t count = 0;
  // A prefix is known to match by its hash; a path-separated one still has its boundary to prove, which accept() does.
  auto add = [&](Range range, bool known) {
    if (range.begin == range.end) return;
    cursors[count++] = {numbers_.data() + range.begin, numbers_.data() + range.end, known};
  };
  if (!exact_.empty()) {
    if (auto found = exact_.find(path); found != exact_.end()) add(found->second, true);
  }
  for (const Level& level : levels_) {
    if (level.length > path.size()) break;
    if (auto found = level.table.find(path.substr(0, level.length)); found != level.table.end()) {
      add(found->second, true);
    }
  }
  add(unindexed_, false);
  return count;
}

}  // namespace weft::route
