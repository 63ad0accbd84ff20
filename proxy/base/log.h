#pragma once

#include <string_view>

// The process's own log, on standard error: what an operator must know (started, could not bind, refused a
// configuration). Never per request; that is the access log. Thread-safe; a line is one write.

namespace weft::base {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kCritical, kOff };

// Parses "trace", "debug", "info", "warning" (or "warn"), "error", "critical", "off". False if it is none of them.
bool parse_log_level(std::string_view name, LogLevel* level);
std::string_view log_level_name(LogLevel level);

void set_log_level(LogLevel level);
LogLevel log_level();

void log(LogLevel level, std::string_view text);
inline void log_debug(std::string_view text) { log(LogLevel::kDebug, text); }
inline void log_info(std::string_view text) { log(LogLevel::kInfo, text); }
inline void log_warning(std::string_view text) { log(LogLevel::kWarning, text); }
inline void log_error(std::string_view text) { log(LogLevel::kError, text); }

}  // namespace weft::base
