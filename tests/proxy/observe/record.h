#pragma once

#include "proxy/observe/request_record.h"

// A record of one exchange, as a stream would have left it.

namespace weft::observe {

struct Exchange {
  Exchange() {
    request.method = "GET";
    request.authority = "a.example";
    request.path = "/new?q=1";
    request.scheme = "https";
    request.headers.add("x-one", "1");
    request.headers.add("accept", "a");
    request.headers.add("accept", "b");
    response.headers.add("server", "weft");
    record.request = &request;
    record.response = &response;
    record.original_path = "/old?q=1";
    record.protocol = "HTTP/1.1";
    record.status = 200;
    record.start_ns = 1'000'000'000;
    record.end_ns = 1'012'900'000;
    record.start_wall_ns = 1'700'000'000'123'456'789;  // 2023-11-14T22:13:20Z
    record.request_body_bytes = 5;
    record.response_body_bytes = 7;
    record.upstream_host = "10.0.0.2:80";
    record.downstream.remote_address = "192.0.2.9:1234";
    record.downstream.remote_port = 1234;
  }
  base::Arena arena;
  http::RequestHead request{arena};
  http::ResponseHead response{arena};
  RequestRecord record;
};

}  // namespace weft::observe
