#pragma once

// The process's own log, on standard error: what an operator must know. Thread-safe; a line is one write.

#include <string_view>

namespace weft::control::base {

void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace weft::control::base
