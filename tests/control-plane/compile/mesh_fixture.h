#pragma once

// Objects as people write them into a model, for the tests of what is compiled from one. Belongs to its test.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "control-plane/registry/registry.h"
#include "control-plane/registry/validate.h"
#include "control-plane/source/documents.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control {

class MeshFixture {
 public:
  // Each call is one revision, a minute after the one before. What it changed.
  registry::ChangeSet put(const std::string& text) {
    const auto drafts = source::read_documents(text, "test.yaml");
    INFO(drafts.status().message());
    REQUIRE(drafts.ok());
    ++revision_;
    std::vector<source::Change> changes;
    for (const source::Draft& draft : *drafts) {
      INFO(registry::validate(draft).message());
      CHECK(registry::validate(draft).ok());
      auto* metadata = source::mutable_metadata_of(draft.content.get());
      metadata->set_generation(1);
      metadata->mutable_creation_timestamp()->set_seconds(static_cast<int64_t>(revision_) * 60);
      changes.push_back({draft.key, revision_, draft.content});
    }
    return registry.apply(revision_, changes, static_cast<int64_t>(revision_) * 60'000);
  }

  const registry::Model& model() const { return *registry.model(); }

  registry::Registry registry;

 private:
  source::Revision revision_ = 0;
};

// "a:tcp" is a service of the namespace shop with a port 5432 of this protocol.
inline std::string service_text(const std::string& name, const std::string& protocol, int port = 5432,
                                const std::string& namespace_name = "shop") {
  return "---\n{apiVersion: v1, kind: Service, metadata: {name: " + name + ", namespace: " + namespace_name +
         "}, spec: {ports: [{name: main, port: " + std::to_string(port) + ", appProtocol: " + protocol + "}]}}\n";
}

}  // namespace weft::control
