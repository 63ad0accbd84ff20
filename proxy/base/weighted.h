#pragma once

// A choice by weight, once for whoever has weights. Pure; any thread.

#include <cstdint>

namespace weft::base {

// The element on which a number drawn from 0 to below the sum of all `weight` members falls; the last one beyond that.
// `elements` is not empty.
template <typename Elements>
const auto& by_weight(const Elements& elements, uint64_t draw) {
  for (const auto& each : elements) {
    if (draw < each.weight) return each;
    draw -= each.weight;
  }
  return elements.back();
}

}  // namespace weft::base
