#pragma once

#include "api/text/unsupported.h"

// What of the protos the proxy acts on. All else is refused by name.

namespace weft::config {

const text::SupportedFields& supported_fields();

}  // namespace weft::config
