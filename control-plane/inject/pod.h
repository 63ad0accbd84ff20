#pragma once

// A pod, or the template of one, with the sidecar and without: {metadata, spec} as a tree. Pure; any thread.
//
// What was changed is kept in the annotation weft.mesh/injected, so that uninject gives back what was, whatever others
// have changed meanwhile. Injecting into a pod that has a sidecar makes that anew.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/text/tree.h"
#include "control-plane/inject/settings.h"
#include "control-plane/inject/shape.h"

namespace weft::control::inject {

inline constexpr char kInjectedAnnotation[] = "weft.mesh/injected";

// What surrounds a pod.
struct PodContext {
  Settings settings;
  // Of the workload that makes the pod; the service is called so if nobody says anything better.
  std::string workload_name;
  // A Job's, which is over when its containers have ended.
  bool runs_to_completion = false;
  // A path within the pod ("spec.containers[0]") as a message names it ("cart.yaml:7:3: spec.template.spec…").
  Locate locate;
};

struct Outcome {
  bool is_changed = false;
  // Why there is no sidecar; empty if there is one.
  std::string skipped;
  // What the owner of the pod should know.
  std::vector<std::string> warnings;
};

bool is_injected(const text::Tree& pod);

// InvalidArgument, one line for each mistake, for what is no pod, and for annotations that say something wrong; `pod`
// is then as it was.
absl::StatusOr<Outcome> inject_pod(const PodContext& context, text::Tree* pod);
absl::StatusOr<Outcome> uninject_pod(const PodContext& context, text::Tree* pod);

}  // namespace weft::control::inject
