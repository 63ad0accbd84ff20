#pragma once

// Kubernetes' mutating admission webhook as a function: an AdmissionReview in, an AdmissionReview out. It has no effect
// but its answer, so that a dry run is like any other. Pure; any thread.

#include <string>
#include <string_view>

#include "control-plane/inject/settings.h"

namespace weft::control::inject {

// What became of a pod, for who counts.
enum class Verdict { kInjected, kLeft, kRefused, kMalformed };

struct Reply {
  Verdict verdict = Verdict::kMalformed;
  // Of HTTP. 400 for what is no AdmissionReview of admission.k8s.io/v1; `body` is then the reason, as text.
  int status = 400;
  std::string body;
};

// A pod that is to be created gets its sidecar by a JSON patch; one that has one, or is to have none, and every other
// object is allowed as it is. A pod whose annotations say something wrong is not allowed, with the reason.
Reply review(const Settings& settings, std::string_view body);

}  // namespace weft::control::inject
