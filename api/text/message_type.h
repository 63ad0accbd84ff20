#pragma once

// What parse() asks about a message's type and its fields for each value that it reads. Descriptors and messages tell
// the same, but from many places in memory and through locks. A type is looked into once for the whole process, and
// then kept; what stands here is safe on any thread.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weft::text {

class MessageType;

struct FieldType {
  const google::protobuf::FieldDescriptor* descriptor = nullptr;
  // Of the message that has the field.
  const google::protobuf::Reflection* reflection = nullptr;
  // Null if the field is of no oneof, or of one that only says that the field is optional.
  const google::protobuf::OneofDescriptor* oneof = nullptr;
  google::protobuf::FieldDescriptor::CppType cpp_type = google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
  int index = 0;
  // A map is repeated too.
  bool is_repeated = false;
  bool is_map = false;
  bool is_bytes = false;
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
  // On the heap if `arena` is null.
  google::protobuf::Message* make(google::protobuf::Arena* arena) const { return prototype_.New(arena); }
  // Of a wrapper, such as UInt32Value: the field that it wraps. Else null.
  const FieldType* wrapped() const { return wrapped_; }
  // As they stand in the .proto file.
  const std::vector<FieldType>& fields() const { return fields_; }
  // By its name in the .proto file or in JSON, or null.
  const FieldType* find(std::string_view name) const;

 private:
  // The names are the descriptor's.
  struct Name {
    std::string_view text;
    const FieldType* field;
  };

  void collect_names();

  const google::protobuf::Descriptor& descriptor_;
  const google::protobuf::Message& prototype_;
  const google::protobuf::Descriptor::WellKnownType well_known_;
  const FieldType* wrapped_ = nullptr;
  std::vector<FieldType> fields_;
  // By length; those of length n begin at first_of_length_[n]. Few names of a type are of one length, so that no more
  // than one or two are compared.
  std::vector<Name> names_;
  std::vector<uint32_t> first_of_length_;
};

}  // namespace weft::text
