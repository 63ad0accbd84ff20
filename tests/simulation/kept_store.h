#pragma once

// A store that outlives the control plane which owns it, as a disk does: forwards to one that is kept elsewhere. One
// thread.

#include <memory>
#include <string>
#include <vector>

#include "control-plane/source/store.h"

namespace weft::simulation {

class KeptStore final : public control::source::Store {
 public:
  explicit KeptStore(std::shared_ptr<control::source::Store> kept) : kept_(std::move(kept)) {}

  absl::StatusOr<control::source::Object> get(const control::source::Key& key) override { return kept_->get(key); }
  absl::StatusOr<control::source::Listing> list() override { return kept_->list(); }
  absl::StatusOr<control::source::Listing> list_at(control::source::Revision revision) override {
    return kept_->list_at(revision);
  }
  absl::StatusOr<control::source::Revision> commit(const std::vector<control::source::Write>& writes, int64_t time_ms,
                                                   const std::string& author) override {
    return kept_->commit(writes, time_ms, author);
  }
  absl::Status check(const std::vector<control::source::Write>& writes) override { return kept_->check(writes); }
  absl::StatusOr<std::vector<control::source::Commit>> history(const std::optional<control::source::Key>& key,
                                                               size_t limit) override {
    return kept_->history(key, limit);
  }
  absl::StatusOr<std::unique_ptr<Watch>> watch(control::source::Revision from, Watcher watcher) override {
    return kept_->watch(from, std::move(watcher));
  }

 private:
  const std::shared_ptr<control::source::Store> kept_;
};

}  // namespace weft::simulation
