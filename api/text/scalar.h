#pragma once

// One scalar of a document as a value of a wanted type. Pure. Each function fills `out` and returns an empty string, or
// returns what was expected, for a message that reads "expected …".

#include <cstdint>
#include <string>
#include <string_view>

#include "api/text/document.h"

namespace google::protobuf {
class Duration;
class EnumDescriptor;
class Timestamp;
}  // namespace google::protobuf

namespace weft::text {

enum class PlainType { kNull, kBool, kNumber, kString };

// What a plain scalar means where nothing else says its type. Quoted scalars are strings.
PlainType plain_type(const Node& node);

std::string read_bool(const Node& node, bool* out);
// Decimal, or in YAML without quotes also 0x and a leading 0 for octal; 1e3 and 100.0 are integers too.
std::string read_int(const Node& node, int64_t min, int64_t max, int64_t* out);
std::string read_uint(const Node& node, uint64_t max, uint64_t* out);
std::string read_double(const Node& node, bool single_precision, double* out);
// A plain scalar that reads as a boolean or an integer is no string: it wants quotes. `out` is the document's.
std::string read_string(const Node& node, std::string_view* out);
// Base64 in the standard or the URL alphabet, with or without padding.
std::string read_bytes(const Node& node, std::string* out);
// A name in any case, or a known number.
std::string read_enum(const Node& node, const google::protobuf::EnumDescriptor& type, int* out);
// "1.5s": up to nine fractional digits.
std::string read_duration(const Node& node, google::protobuf::Duration* out);
// RFC 3339.
std::string read_timestamp(const Node& node, google::protobuf::Timestamp* out);

}  // namespace weft::text
