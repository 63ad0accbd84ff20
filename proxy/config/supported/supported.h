#pragma once

#include "api/text/unsupported.h"

// The fields, enum values and extensions of a bootstrap that the compiler takes account of, or that may be set without
// effect here because they ask for nothing (what only Envoy's own inner workings know). All else is refused by name.

namespace weft::config {

// Made once; lives as long as the process. Pure; any thread.
const text::SupportedFields& supported_fields();

}  // namespace weft::config
