#pragma once

// Finds what a message sets and the caller does not support, so that it can be refused by name instead of ignored.
// SupportedFields is built once from a table that the caller keeps beside its own code, and is immutable after that;
// find_unsupported() is pure. Neither makes descriptors of messages that nobody uses: they stay for ever, and those of
// all of a table's would be a third of a megabyte.
//
// A table is a list of entries, one of:
//   envoy.config.cluster.v3.Cluster.name         this field; if it is a message, its own fields need entries too
//   envoy.config.cluster.v3.Cluster.*            every field of this message (not of the messages below it)
//   envoy.config.core.v3.Metadata.**             this message and everything below it; not walked any further
//   envoy.extensions.filters.http.cors.v3.Cors   this message (none within another) may stand in an Any, even with no
//                                                field set
//   envoy.config.cluster.v3.Cluster.LbPolicy.RANDOM
//                                                this value; an enum of which no value is listed is accepted whole
// An entry for a field also admits its message in an Any. google.protobuf's own messages need no entries.
//
// Refused paths narrow this where a field is supported in one place and not in another. They are matched against
// the field path (see position.h) from its start: `[*]` stands for any index or key, and a leading `**.` for any
// beginning: `**.validation_context.crl`, `static_resources.listeners[*].udp_listener_config`.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "api/text/position.h"

namespace google::protobuf {
class EnumValueDescriptor;
class Descriptor;
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace weft::text {

class SupportedFields {
 public:
  // The texts outlive it. What is no name of anything has no effect; check() finds it.
  explicit SupportedFields(std::span<const std::string_view> entries,
                           std::span<const std::string_view> refused_paths = {});
  // Fails, naming every entry that is no message, field or enum value of ours. For tests, so that no table rots unseen.
  static absl::Status check(std::span<const std::string_view> entries);

  bool field(const google::protobuf::FieldDescriptor& field) const;
  bool value(const google::protobuf::EnumValueDescriptor& value) const;
  // Whether the message may stand in an Any.
  bool message(const google::protobuf::Descriptor& message) const;
  // Whether the message is supported with all that is below it.
  bool whole(const google::protobuf::Descriptor& message) const;
  bool refused(std::string_view path) const;

 private:
  using Names = absl::flat_hash_set<absl::string_view>;
  Names names_;       // Entries as they are, but for those with an asterisk.
  Names parents_;     // What they are fields and values of: messages and enums; and packages.
  Names all_fields_;  // Messages with ".*".
  Names whole_;       // Messages with ".**".
  std::vector<std::string_view> refused_paths_;
};

struct Unsupported {
  enum class Kind {
    kField,        // a field that is set
    kValue,        // an enum value
    kMessage,      // a known message in an Any
    kUnknownType,  // an Any whose type is not among our protos
    kMalformed,    // an Any whose bytes do not parse as its type
  };
  Kind kind = Kind::kField;
  std::string path;
  std::string name;  // full name of the field, the enum value or the message; the type URL when unknown
  Position position;
  // One line: "envoy.yaml:12:7: static_resources.clusters[2].lb_policy: value MAGLEV is not supported".
  std::string message;
};

// Every set field of `message` that `supported` does not hold, in field order, through all Any messages. A field that
// is reported is not descended into. `path` is the path of `message` itself; `positions` may be null.
std::vector<Unsupported> find_unsupported(const google::protobuf::Message& message, const SupportedFields& supported,
                                          const PositionMap* positions = nullptr, std::string_view path = "");

}  // namespace weft::text
