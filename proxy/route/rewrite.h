#pragma once

#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/http/message.h"
#include "proxy/route/route.h"

// What a route makes of a request's target: the path it is forwarded with, or the place it is redirected to. Pure; the
// results live in the arena, in the request, or in the route.

namespace weft::route {

// The path and query with which the request is forwarded: the matched prefix replaced, or the regex applied to the path
// alone. The request's own when the route rewrites nothing.
std::string_view rewrite_path(const Route& route, const http::RequestHead& request, base::Arena& arena);

// The Location of a redirect: absolute, with the request's scheme, host and path where the redirect does not replace
// them. A port that is the default of the old scheme is dropped when the scheme changes.
std::string_view redirect_location(const Redirect& redirect, const Route& route, const http::RequestHead& request,
                                   base::Arena& arena);

}  // namespace weft::route
