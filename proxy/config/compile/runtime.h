#pragma once

#include <optional>
#include <string_view>

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/type/v3/percent.pb.h"

// Numbers that configurations keep in static layers of layered_runtime. A key may be written whole ("a.b.c: 1") or as
// objects within each other; a later layer wins.

namespace weft::config {

std::optional<double> runtime_number(const envoy::config::bootstrap::v3::Bootstrap& bootstrap, std::string_view key);

// A default that a runtime key may override.
uint32_t runtime_value(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                       const envoy::config::core::v3::RuntimeUInt32& value);

// The same for a switch: true, false, or a number that is 0 or not.
bool runtime_flag(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                  const envoy::config::core::v3::RuntimeFeatureFlag& flag);

// A share of requests: numerator of denominator. An override is a number of hundredths, as in Envoy.
struct Fraction {
  uint32_t numerator = 0;
  uint32_t denominator = 100;
};
Fraction fraction_of(const envoy::type::v3::FractionalPercent& percent);
Fraction runtime_fraction(const envoy::config::bootstrap::v3::Bootstrap& bootstrap,
                          const envoy::config::core::v3::RuntimeFractionalPercent& percent);

}  // namespace weft::config
