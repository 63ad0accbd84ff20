#include "api/text/message_type.h"

#include <cassert>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace weft::text {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;

bool is_wrapper(Descriptor::WellKnownType type) {
  switch (type) {
    case Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      return true;
    default:
      return false;
  }
}

bool takes_null(const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return field.enum_type()->full_name() == "google.protobuf.NullValue";
  }
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_VALUE;
}

struct Types {
  absl::Mutex mutex;
  absl::flat_hash_map<const Descriptor*, std::unique_ptr<const MessageType>> made ABSL_GUARDED_BY(mutex);
};

}  // namespace

const MessageType& FieldType::message() const {
  const MessageType* known = message_.load(std::memory_order_acquire);
  if (known == nullptr) {
    known = &MessageType::of(*descriptor->message_type());
    message_.store(known, std::memory_order_release);
  }
  return *known;
}

const MessageType& MessageType::of(const Descriptor& descriptor) {
  assert(descriptor.file()->pool() == DescriptorPool::generated_pool());
  static Types& types = *new Types;
  {
    absl::ReaderMutexLock lock(&types.mutex);
    const auto found = types.made.find(&descriptor);
    if (found != types.made.end()) return *found->second;
  }
  auto made = std::make_unique<const MessageType>(descriptor);
  absl::MutexLock lock(&types.mutex);
  return *types.made.try_emplace(&descriptor, std::move(made)).first->second;
}

MessageType::MessageType(const Descriptor& descriptor)
    : descriptor_(descriptor),
      well_known_(descriptor.well_known_type()),
      fields_(static_cast<size_t>(descriptor.field_count())) {
  for (FieldType& field : fields_) {
    field.index = static_cast<int>(&field - fields_.data());
    field.descriptor = descriptor.field(field.index);
    field.oneof = field.descriptor->real_containing_oneof();
    field.cpp_type = field.descriptor->cpp_type();
    field.is_repeated = field.descriptor->is_repeated();
    field.is_map = field.descriptor->is_map();
    field.takes_null = takes_null(*field.descriptor);
    by_name_.emplace(field.descriptor->name(), &field);
  }
  // A name of a .proto file comes before one of JSON.
  for (const FieldType& field : fields_) by_name_.emplace(field.descriptor->json_name(), &field);
  if (is_wrapper(well_known_)) wrapped_ = &fields_.front();
}

const FieldType* MessageType::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

}  // namespace weft::text
