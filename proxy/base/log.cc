#include "proxy/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>

namespace weft::base {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"trace", "debug", "info", "warning", "error", "critical", "off"};

spdlog::logger& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_logger_mt("weft");
    made->set_pattern("[%Y-%m-%dT%H:%M:%S.%eZ] [%l] %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

}  // namespace

bool parse_log_level(std::string_view name, LogLevel* level) {
  if (name == "warn") name = "warning";
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] != name) continue;
    *level = static_cast<LogLevel>(i);
    return true;
  }
  return false;
}

std::string_view log_level_name(LogLevel level) { return kNames[static_cast<size_t>(level)]; }

void set_log_level(LogLevel level) { logger().set_level(static_cast<spdlog::level::level_enum>(level)); }

LogLevel log_level() { return static_cast<LogLevel>(logger().level()); }

void log(LogLevel level, std::string_view text) {
  logger().log(static_cast<spdlog::level::level_enum>(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace weft::base
