#include "proxy/config/compile/runtime.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <string>

namespace weft::config {
namespace {

std::optional<double> find(const google::protobuf::Struct& object, std::string_view key, bool is_switch) {
  for (const auto& [name, value] : object.fields()) {
    if (name == key && value.has_number_value()) return value.number_value();
    if (name == key && is_switch && value.has_bool_value()) return value.bool_value() ? 1 : 0;
    bool inside = value.has_struct_value() && key.size() > name.size() && key.substr(0, name.size()) == name &&
                  key[name.size()] == '.';
    if (!inside) continue;
    if (auto found = find(value.struct_value(), key.substr(name.size() + 1), is_switch)) return found;
  }
  return std::nullopt;
}

std::optional<double> find_in_layers(const envoy::config::bootstrap::v3::Bootstrap& bootstrap, std::string_view key,
                                     bool is_switch) {
  std::optional<double> result;
  if (key.empty()) return result;
  for (const auto& layer : bootstrap.layered_runtime().layers()) {
    if (auto found = find(layer.static_layer(), key, is_switch)) result = found;
  }
  return result;
}

}  // namespace

std::optional<double> runtime_number(const envoy::config::bootstrap::v3::Bootstrap& bootstrap, std::string_view key) {
  return find_in_layers(bootstrap, key, false);
}

bool runtime_flag(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                  const envoy::config::core::v3::RuntimeFeatureFlag& flag) {
  auto set = find_in_layers(bootstrap, flag.runtime_key(), true);
  return set ? *set != 0 : flag.default_value().value();
}

uint32_t runtime_value(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                       const envoy::config::core::v3::RuntimeUInt32& value) {
  auto set = runtime_number(bootstrap, value.runtime_key());
  bool usable = set && *set >= 0 && *set <= UINT32_MAX;
  return usable ? static_cast<uint32_t>(*set) : value.default_value();
}

Fraction fraction_of(const envoy::type::v3::FractionalPercent& percent) {
  static constexpr uint32_t kDenominators[] = {100, 10'000, 1'000'000};
  return {percent.numerator(), kDenominators[std::clamp(static_cast<int>(percent.denominator()), 0, 2)]};
}

Fraction runtime_fraction(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                          const envoy::config::core::v3::RuntimeFractionalPercent& percent) {
  auto set = runtime_number(bootstrap, percent.runtime_key());
  bool usable = set && *set >= 0 && *set <= UINT32_MAX;
  return usable ? Fraction{static_cast<uint32_t>(*set), 100} : fraction_of(percent.default_value());
}

}  // namespace weft::config
