#pragma once

// Gateway API's durations, which the registry has found valid, as the wire has them. Pure; any thread.

#include <google/protobuf/duration.pb.h>

#include <string_view>

namespace weft::control::compile {

// "1h30m10s500ms".
google::protobuf::Duration duration(std::string_view text);

}  // namespace weft::control::compile
