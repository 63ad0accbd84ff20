#include "control-plane/compile/duration.h"

#include "control-plane/registry/format.h"

namespace weft::control::compile {

google::protobuf::Duration duration(std::string_view text) {
  const int64_t total_ms = registry::parse_duration_ms(text).value_or(0);
  google::protobuf::Duration result;
  result.set_seconds(total_ms / 1000);
  result.set_nanos(static_cast<int32_t>(total_ms % 1000 * 1'000'000));
  return result;
}

}  // namespace weft::control::compile
