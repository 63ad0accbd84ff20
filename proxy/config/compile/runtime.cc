#include "proxy/config/compile/runtime.h"

#include <google/protobuf/struct.pb.h>

#include <string>

namespace weft::config {
namespace {

std::optional<double> find(const google::protobuf::Struct& object, std::string_view key) {
  for (const auto& [name, value] : object.fields()) {
    if (name == key && value.has_number_value()) return value.number_value();
    bool inside = value.has_struct_value() && key.size() > name.size() && key.substr(0, name.size()) == name &&
                  key[name.size()] == '.';
    if (!inside) continue;
    if (auto found = find(value.struct_value(), key.substr(name.size() + 1))) return found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> runtime_number(const envoy::config::bootstrap::v3::Bootstrap& bootstrap, std::string_view key) {
  std::optional<double> result;
  for (const auto& layer : bootstrap.layered_runtime().layers()) {
    if (auto found = find(layer.static_layer(), key)) result = found;
  }
  return result;
}

}  // namespace weft::config
