#pragma once

#include <string>
#include <string_view>

#include "proxy/http/message.h"
#include "proxy/route/route_table.h"

// The conditions of a route, one by one; pure. Each says whether it holds, and why not if `why` is given.

namespace weft::route {

// `path` is the request's, without query.
bool path_matches(const PathMatch& match, std::string_view path, const http::RequestHead& request);
bool query_matches(const QueryMatch& match, const http::RequestHead& request);

// All of a route's conditions. With `path_known` a prefix or exact path is taken as compared already. Draws from
// `random` only if the route asks for a fraction of the requests.
bool entry_matches(const RouteEntry& entry, const http::RequestHead& request, std::string_view path, bool path_known,
                   base::Random& random, std::string* why = nullptr);

}  // namespace weft::route
