#include "control-plane/source/directory/files.h"

#include <google/protobuf/message.h>

#include <set>
#include <utility>

#include "api/text/cat.h"

namespace weft::control::source::directory {

using text::cat;

namespace {

std::string place(const std::string& path, int line) { return line == 0 ? path : cat(path, ":", line); }

// "file /etc/weft/cart.yaml:3", "files a.yaml:1, b.yaml:4 and 2 more".
std::string author_of(const std::map<std::string, int>& first_lines) {
  constexpr size_t kShown = 3;
  std::string out = first_lines.size() == 1 ? "file " : "files ";
  size_t count = 0;
  for (const auto& [path, line] : first_lines) {
    if (count == kShown) return cat(out, " and ", first_lines.size() - kShown, " more");
    text::append(&out, count++ == 0 ? "" : ", ", place(path, line));
  }
  return out;
}

}  // namespace

void Files::adopt(const Object& object) {
  const std::string path(origin_of(*object.content));
  files_[path].in_force[object.key] = {object.content, 0};
  owner_of_[object.key] = path;
}

void Files::read(const File& file) {
  Entry& entry = files_[file.path];
  entry.wanted.reset();
  entry.mistake = file.problem.empty() ? "" : cat(file.path, ": cannot be read: ", file.problem);
  if (!file.problem.empty()) return;
  absl::StatusOr<std::vector<Draft>> drafts = read_documents(file.text, file.path);
  if (!drafts.ok()) {
    entry.mistake = std::string(drafts.status().message());
    return;
  }
  Objects objects;
  for (const Draft& draft : *drafts) {
    if (const absl::Status status = validate_(draft); !status.ok()) {
      text::append(&entry.mistake, entry.mistake.empty() ? "" : "\n", status.message());
    }
    set_origin(file.path, draft.content.get());
    objects[draft.key] = {draft.content, draft.written.line};
  }
  if (entry.mistake.empty()) entry.wanted = std::move(objects);
}

void Files::update(const Scan& scan) {
  for (const File& file : scan.changed) read(file);
  for (auto& [path, entry] : files_) entry.is_present = false;
  for (const std::string& path : scan.present) files_[path].is_present = true;
}

const Files::Objects& Files::next_of(const Entry& entry) const {
  static const Objects kNone;
  if (!entry.is_present) return kNone;
  return entry.wanted.has_value() && entry.conflict.empty() ? *entry.wanted : entry.in_force;
}

// What goes on as it was is never in anyone's way, so each round refuses one file more, or is the last.
void Files::resolve(const Elsewhere& elsewhere) {
  for (auto& [path, entry] : files_) entry.conflict.clear();
  while (refuse_first(elsewhere)) {
  }
}

bool Files::refuse_first(const Elsewhere& elsewhere) {
  std::map<Key, const std::string*> taken;
  for (const auto& [path, entry] : files_) {
    for (const auto& [key, placed] : next_of(entry)) {
      const auto owner = owner_of_.find(key);
      if (owner != owner_of_.end() && owner->second == path) taken.emplace(key, &path);
    }
  }
  for (auto& [path, entry] : files_) {
    std::string conflict;
    for (const auto& [key, placed] : next_of(entry)) {
      const std::string& owner = *taken.emplace(key, &path).first->second;
      std::string where;
      if (owner != path) {
        where = cat("in ", place(owner, next_of(files_.at(owner)).at(key).line),
                    " already; take it out of one of the two files");
      } else if (!owner_of_.contains(key)) {
        where = elsewhere(key);
      }
      if (where.empty()) continue;
      text::append(&conflict, conflict.empty() ? "" : "\n", place(path, placed.line), ": ", to_string(key), " is ",
                   where);
    }
    if (conflict.empty()) continue;
    entry.conflict = std::move(conflict);
    return true;
  }
  return false;
}

Plan Files::settle(const Elsewhere& elsewhere) {
  resolve(elsewhere);
  Plan plan;
  std::map<std::string, int> first_lines;
  const auto note = [&](const std::string& path, int line) {
    int& first = first_lines.try_emplace(path, line).first->second;
    if (line < first) first = line;
  };
  std::set<Key> kept;
  for (const auto& [path, entry] : files_) {
    for (const auto& [key, placed] : next_of(entry)) {
      kept.insert(key);
      const auto owner = owner_of_.find(key);
      if (owner != owner_of_.end()) {
        const Placed& before = files_.at(owner->second).in_force.at(key);
        if (same_intent(*before.content, *placed.content)) continue;
      }
      plan.writes.push_back({key, placed.content, std::nullopt});
      note(path, placed.line);
    }
  }
  for (const auto& [key, path] : owner_of_) {
    if (kept.contains(key)) continue;
    plan.writes.push_back({key, nullptr, std::nullopt});
    note(path, 0);
  }
  plan.author = author_of(first_lines);
  return plan;
}

void Files::confirm() {
  owner_of_.clear();
  for (auto& [path, entry] : files_) {
    entry.in_force = Objects(next_of(entry));
    for (const auto& [key, placed] : entry.in_force) owner_of_[key] = path;
  }
  std::erase_if(files_, [](const auto& each) { return !each.second.is_present; });
}

std::vector<Refusal> Files::refusals() const {
  std::vector<Refusal> out;
  for (const auto& [path, entry] : files_) {
    if (!entry.is_present) continue;
    if (!entry.mistake.empty()) out.push_back({path, entry.mistake});
    if (!entry.conflict.empty()) out.push_back({path, entry.conflict});
  }
  return out;
}

std::string Files::origin(const Key& key) const {
  const auto owner = owner_of_.find(key);
  if (owner == owner_of_.end()) return "";
  return place(owner->second, files_.at(owner->second).in_force.at(key).line);
}

}  // namespace weft::control::source::directory
