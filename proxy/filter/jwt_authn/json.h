#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

// JSON that strangers wrote. Pure.

namespace weft::filter {

// A discarded value, which is_discarded() tells, if the text is no JSON or deeper than `max_depth`.
inline nlohmann::json parse_json(std::string_view text, int max_depth) {
  bool too_deep = false;
  auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > max_depth;
    return !too_deep;
  };
  nlohmann::json value = nlohmann::json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  return too_deep ? nlohmann::json(nlohmann::json::value_t::discarded) : value;
}

}  // namespace weft::filter
