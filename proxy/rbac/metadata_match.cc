#include "proxy/rbac/metadata_match.h"

namespace weft::rbac {

bool ValueMatch::holds(const http::MetadataValue* value) const {
  using Has = http::MetadataValue::Kind;
  if (kind == Kind::kPresent) return (value != nullptr) == boolean;
  if (kind == Kind::kOr) {
    for (const ValueMatch& part : parts) {
      if (part.holds(value)) return true;
    }
    return false;
  }
  if (value == nullptr) return false;
  switch (kind) {
    case Kind::kNull:
      return value->kind == Has::kNull;
    case Kind::kNumber:
      return value->kind == Has::kNumber && value->number == number;
    case Kind::kRange:
      return value->kind == Has::kNumber && value->number >= number && value->number < end;
    case Kind::kString:
      return value->kind == Has::kString && string.matches(value->text);
    case Kind::kBool:
      return value->kind == Has::kBool && value->boolean == boolean;
    case Kind::kOneOf:
      if (value->kind != Has::kList) return false;
      for (const http::MetadataEntry& entry : value->items()) {
        if (parts[0].holds(&entry.value)) return true;
      }
      return false;
    case Kind::kPresent:
    case Kind::kOr:
      break;
  }
  return false;
}

bool MetadataMatch::holds(const http::Metadata* metadata) const {
  return value.holds(metadata == nullptr ? nullptr : metadata->find(name, path)) != invert;
}

}  // namespace weft::rbac
