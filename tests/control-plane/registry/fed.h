#pragma once

// A registry that a test feeds with texts. Belongs to one test case.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "control-plane/registry/registry.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "control-plane/source/documents.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::registry {

// A registry fed as a store would: each call one revision, a minute after the one before.
class Fed {
 public:
  ChangeSet put(const std::string& text) {
    const auto drafts = source::read_documents(text, "test.yaml");
    INFO(drafts.status().message());
    REQUIRE(drafts.ok());
    std::vector<source::Change> changes;
    ++revision_;
    for (const source::Draft& draft : *drafts) {
      INFO(validate(draft).message());
      CHECK(validate(draft).ok());
      auto* metadata = source::mutable_metadata_of(draft.content.get());
      metadata->set_generation(1);
      metadata->mutable_creation_timestamp()->set_seconds(static_cast<int64_t>(revision_) * 60);
      changes.push_back({draft.key, revision_, draft.content});
    }
    return registry_.apply(revision_, changes, now_ms());
  }
  ChangeSet erase(const source::Key& key) {
    return registry_.apply(++revision_, {{key, revision_, nullptr}}, now_ms());
  }
  ChangeSet announce(const Workload& workload) { return registry_.apply_workloads({{workload.name, workload}}); }

  const Model& model() const { return *registry_.model(); }
  const Registry& registry() const { return registry_; }
  int64_t now_ms() const { return static_cast<int64_t>(revision_) * 60'000; }

  std::string warnings(const source::Key& key) const {
    const auto status = registry_.status(key);
    if (status == nullptr) return "none";
    std::string out;
    for (const std::string& line : warnings_of(*status)) out += line + "\n";
    return out;
  }

 private:
  Registry registry_;
  source::Revision revision_ = 0;
};

}  // namespace weft::control::registry
