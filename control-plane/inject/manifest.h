#pragma once

// Objects that have a pod in them: Pod itself, the workloads that make pods, and lists of these. All others, and other
// groups' objects of the same kinds, are nothing to us. Pure; any thread.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "api/text/tree.h"
#include "control-plane/inject/pod.h"
#include "control-plane/inject/settings.h"

namespace weft::control::inject {

enum class Action { kInject, kUninject };

// What was done with one object.
struct ObjectOutcome {
  // "Deployment shop/cart"; the namespace only where the object says it.
  std::string object;
  Outcome outcome;
};

// Pods of one object, which may be a List, in place. `outcomes` gets one for each pod found. On InvalidArgument, one
// line for each mistake, `object` is half done. `locate` names paths in messages.
absl::Status act_on_object(Action action, const Settings& settings, const Locate& locate, text::Tree* object,
                           std::vector<ObjectOutcome>* outcomes);

// The name of the workload that makes a pod: that of its owner, a ReplicaSet's without the hash of the template. Empty
// if nothing says it.
std::string workload_of_pod(const text::Tree& pod);

}  // namespace weft::control::inject
