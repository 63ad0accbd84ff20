#pragma once

// What comes into a pod: its two containers and their volumes (README.md). Pure; any thread.

#include "api/text/tree.h"
#include "control-plane/inject/settings.h"

namespace weft::control::inject {

inline constexpr char kInitContainer[] = "weft-init";
inline constexpr char kProxyContainer[] = "weft-proxy";
// Carries the certificates by which the proxy knows the control plane, where the settings have them themselves.
inline constexpr char kCaAnnotation[] = "weft.mesh/ca";
inline constexpr int kProxyUid = 1337;

text::Tree init_container(const Settings& settings);
// `probes`: what WEFT_APP_PROBES is to say; an empty object if there is none.
text::Tree proxy_container(const Settings& settings, const text::Tree& probes);
// A list.
text::Tree volumes(const Settings& settings);

}  // namespace weft::control::inject
