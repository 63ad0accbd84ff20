#pragma once

// Texts that people write, YAML with any number of documents or JSON, as objects. Pure; any thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/text/position.h"
#include "control-plane/source/object.h"

namespace weft::control::source {

// The text of one object, and where it stands.
struct Written {
  std::string text;
  std::string file_name;
  // In the file, from 1: where the text begins, and where it says its apiVersion.
  int first_line = 1;
  int line = 1;
};

// An object as written, not yet in any store.
struct Draft {
  Key key;
  std::shared_ptr<google::protobuf::Message> content;
  // Written as metadata.resourceVersion: the change is only wanted on top of this one. 0 if nothing was said.
  Revision expected_revision = 0;
  Written written;
  // Where its fields stand, by paths in JSON's names. Reads the text again: for those who have found a mistake.
  text::PositionMap positions() const;
};

// All objects of a text, in its order. metadata.namespace becomes "default" where a kind wants one and none is given;
// status and what stores set are dropped. On mistakes InvalidArgument, one line for each, "cart.yaml:7:3:
// spec.ports[0]: …", also for an object that stands twice. `file_name` is for messages, and .json means JSON.
absl::StatusOr<std::vector<Draft>> read_documents(std::string_view text, std::string_view file_name);

}  // namespace weft::control::source
