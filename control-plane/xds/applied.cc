#include "control-plane/xds/applied.h"

#include <algorithm>

namespace weft::control::xds {

namespace {

// Nothing more will come of what is as it was acknowledged, or was refused after all.
bool is_final(const Reported& reported, uint64_t held) {
  return reported.version == held || (reported.refused.has_value() && reported.refused->version == held);
}

bool is_plain(const Reported& reported, uint64_t held) {
  return reported.version == held && reported.warming_version == 0 && !reported.refused.has_value();
}

}  // namespace

void Applied::on_acknowledged(snapshot::Type type, const std::string& name, uint64_t before, uint64_t version,
                              uint64_t epoch) {
  if (before == version) return;
  const auto [at, is_new] = differences_.try_emplace({type, name});
  // Where nothing was kept the node ran what it held.
  if (is_new) at->second.reported.version = before;
  if (is_plain(at->second.reported, version)) return erase(at);
  if (is_final(at->second.reported, version)) {
    set_since(at->second, kNothing);
  } else if (at->second.since == kNothing) {
    set_since(at->second, epoch + 1);
  }
}

void Applied::on_report(snapshot::Type type, const std::string& name, Reported reported, uint64_t held) {
  const auto [at, is_new] = differences_.try_emplace({type, name});
  if (is_plain(reported, held)) return erase(at);
  if (is_final(reported, held)) set_since(at->second, kNothing);
  at->second.reported = std::move(reported);
}

void Applied::clear() {
  differences_.clear();
  since_.clear();
}

uint64_t Applied::through(uint64_t acknowledged) const {
  return since_.empty() ? acknowledged : std::min(acknowledged, since_.begin()->first - 1);
}

const Applied::Difference* Applied::find(snapshot::Type type, const std::string& name) const {
  const auto found = differences_.find({type, name});
  return found == differences_.end() ? nullptr : &found->second;
}

void Applied::set_since(Difference& difference, uint64_t since) {
  if (difference.since != kNothing) {
    const auto count = since_.find(difference.since);
    if (--count->second == 0) since_.erase(count);
  }
  difference.since = since;
  if (since != kNothing) ++since_[since];
}

void Applied::erase(std::map<Key, Difference>::iterator at) {
  set_since(at->second, kNothing);
  differences_.erase(at);
}

}  // namespace weft::control::xds
