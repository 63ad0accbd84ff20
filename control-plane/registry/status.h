#pragma once

// What became of objects, as the conditions that Gateway API names. Pure; any thread.

#include <google/protobuf/message.h>
#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control-plane/source/object.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::registry {

inline constexpr char kControllerName[] = "weft.mesh/control";

struct ConditionText {
  std::string type;
  bool holds = false;
  std::string reason;
  std::string message;
};
using Conditions = google::protobuf::RepeatedPtrField<kubernetes::meta::v1::Condition>;
void add_condition(const ConditionText& text, uint32_t generation, Conditions* conditions);

// Sets lastTransitionTime of every condition in `status`: what it was in `before` (which may be null, and has the same
// type) at the same place if the condition is as it was, else `now_ms`, since the epoch.
void set_transition_times(const google::protobuf::Message* before, int64_t now_ms, google::protobuf::Message* status);

// The object with this status in it; with null as it is.
std::unique_ptr<google::protobuf::Message> with_status(const google::protobuf::Message& content,
                                                       const google::protobuf::Message* status);

// Each condition in `status` that does not hold, once: "ResolvedRefs is False, BackendNotFound: …".
std::vector<std::string> warnings_of(const google::protobuf::Message& status);

// One line for a table: "Accepted", or the reason of the first condition that does not hold; "" without conditions.
std::string summary_of(const google::protobuf::Message& content);

}  // namespace weft::control::registry
