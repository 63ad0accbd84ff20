#pragma once

// A message's bytes, the same for equal messages. Pure; any thread.

#include <google/protobuf/message_lite.h>

#include <string>

namespace weft::text {

// As on the wire, the entries of maps in the order of their keys: so that what is compared, hashed or sent does not
// depend on where it lay in memory.
std::string canonical_bytes(const google::protobuf::MessageLite& message);

}  // namespace weft::text
