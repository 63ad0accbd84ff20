#pragma once

// Whether a match takes everything that another one does. Pure; any thread.

namespace envoy::config::route::v3 {
class RouteMatch;
}  // namespace envoy::config::route::v3

namespace weft::control::analyze {

// True only if it is certain; of two regular expressions only equal ones are compared.
bool covers(const envoy::config::route::v3::RouteMatch& wide, const envoy::config::route::v3::RouteMatch& narrow);

}  // namespace weft::control::analyze
