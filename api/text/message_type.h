#pragma once

// What parse() asks about a message's type and its fields for each value that it reads. A descriptor tells the same,
// but from many places in memory and through locks. A type is looked into once for the whole process, and then kept;
// what stands here is safe on any thread.

#include <google/protobuf/descriptor.h>

#include <atomic>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace weft::text {

class MessageType;

struct FieldType {
  const google::protobuf::FieldDescriptor* descriptor = nullptr;
  // Null if the field is of no oneof, or of one that only says that the field is optional.
  const google::protobuf::OneofDescriptor* oneof = nullptr;
  google::protobuf::FieldDescriptor::CppType cpp_type = google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
  int index = 0;
  // A map is repeated too.
  bool is_repeated = false;
  bool is_map = false;
  // Whether null means something for this field rather than "not set".
  bool takes_null = false;

  // Of a field that is a message. It is looked up at first use: types hold each other.
  const MessageType& message() const;

 private:
  mutable std::atomic<const MessageType*> message_ = nullptr;
};

class MessageType {
 public:
  // `descriptor` is of the generated pool, and so for ever.
  static const MessageType& of(const google::protobuf::Descriptor& descriptor);

  explicit MessageType(const google::protobuf::Descriptor& descriptor);

  const google::protobuf::Descriptor& descriptor() const { return descriptor_; }
  google::protobuf::Descriptor::WellKnownType well_known() const { return well_known_; }
  // Of a wrapper, such as UInt32Value: the field that it wraps. Else null.
  const FieldType* wrapped() const { return wrapped_; }
  // As they stand in the .proto file.
  const std::vector<FieldType>& fields() const { return fields_; }
  // By its name in the .proto file or in JSON, or null.
  const FieldType* find(std::string_view name) const;

 private:
  const google::protobuf::Descriptor& descriptor_;
  const google::protobuf::Descriptor::WellKnownType well_known_;
  std::vector<FieldType> fields_;
  // The names are the descriptor's.
  absl::flat_hash_map<std::string_view, const FieldType*> by_name_;
  const FieldType* wrapped_ = nullptr;
};

}  // namespace weft::text
