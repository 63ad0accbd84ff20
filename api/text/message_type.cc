#include "api/text/message_type.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace weft::text {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;

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
      prototype_(*MessageFactory::generated_factory()->GetPrototype(&descriptor)),
      well_known_(descriptor.well_known_type()),
      fields_(static_cast<size_t>(descriptor.field_count())) {
  const auto* reflection = prototype_.GetReflection();
  for (FieldType& field : fields_) {
    field.index = static_cast<int>(&field - fields_.data());
    field.descriptor = descriptor.field(field.index);
    field.reflection = reflection;
    field.oneof = field.descriptor->real_containing_oneof();
    field.cpp_type = field.descriptor->cpp_type();
    field.is_repeated = field.descriptor->is_repeated();
    field.is_map = field.descriptor->is_map();
    field.is_bytes = field.descriptor->type() == FieldDescriptor::TYPE_BYTES;
    field.takes_null = takes_null(*field.descriptor);
  }
  if (is_wrapper(well_known_)) wrapped_ = &fields_.front();
  collect_names();
}

void MessageType::collect_names() {
  absl::flat_hash_set<std::string_view> taken;
  const auto add = [&](std::string_view name, const FieldType& field) {
    if (taken.insert(name).second) names_.push_back({name, &field});
  };
  for (const FieldType& field : fields_) add(field.descriptor->name(), field);
  // A name of the .proto file comes before one of JSON.
  for (const FieldType& field : fields_) add(field.descriptor->json_name(), field);
  std::stable_sort(names_.begin(), names_.end(),
                   [](const Name& a, const Name& b) { return a.text.size() < b.text.size(); });
  for (size_t i = 0; i < names_.size(); ++i) {
    if (first_of_length_.size() <= names_[i].text.size()) {
      first_of_length_.resize(names_[i].text.size() + 1, static_cast<uint32_t>(i));
    }
  }
  first_of_length_.push_back(static_cast<uint32_t>(names_.size()));
}

const FieldType* MessageType::find(std::string_view name) const {
  if (name.size() + 1 >= first_of_length_.size()) return nullptr;
  for (uint32_t i = first_of_length_[name.size()]; i < first_of_length_[name.size() + 1]; ++i) {
    if (names_[i].text == name) return names_[i].field;
  }
  return nullptr;
}

}  // namespace weft::text
