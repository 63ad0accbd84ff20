#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/text/cat.h"
#include "api/text/parse.h"
#include "api/text/position.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/config/core/v3/address.pb.h"
#include "envoy/type/matcher/v3/regex.pb.h"
#include "envoy/type/matcher/v3/string.pb.h"
#include "proxy/cluster/cluster.h"
#include "proxy/config/compile/compile.h"
#include "proxy/config/compile/shared_parts.h"
#include "proxy/config/xds/duration.h"
#include "proxy/observe/stats.h"
#include "proxy/route/matcher.h"
#include "proxy/route/route.h"

// What the parts of the compiler share while one bootstrap, or one resource that came later, is compiled. Mistakes are
// collected, so that a person learns of all of them at once; each part goes on with a default after it has reported
// one.

namespace weft::config {

namespace bootstrap_v3 = envoy::config::bootstrap::v3;
namespace core_v3 = envoy::config::core::v3;
namespace matcher_v3 = envoy::type::matcher::v3;

using text::field_path;
using text::index_path;
using text::key_path;

// The path of a list's element: path.field[index].
inline std::string at(std::string_view path, std::string_view field, int index) {
  return index_path(field_path(path, field), static_cast<size_t>(index));
}

struct SecretsAtHand;

class Context {
 public:
  Context(SharedParts& parts, const bootstrap_v3::Bootstrap& bootstrap, const text::PositionMap& positions)
      : parts_(parts), bootstrap_(bootstrap), positions_(positions) {}
  // For a resource: paths begin at itself.
  Context(SharedParts& parts, const text::PositionMap& positions) : Context(parts, parts.bootstrap, positions) {
    of_resource_ = true;
    has_cluster = parts.has_cluster;
  }

  SharedParts& parts() const { return parts_; }
  // What is compiled came while the proxy runs.
  bool of_resource() const { return of_resource_; }
  const bootstrap_v3::Bootstrap& bootstrap() const { return bootstrap_; }
  bool open_files() const { return parts_.options.open_files; }
  // The main thread, which is worker 0, included.
  uint32_t workers() const { return parts_.options.workers; }

  void error(std::string_view path, std::string_view what);
  const std::vector<std::string>& errors() const { return errors_; }
  // What is known and asks for something that we do not do, where the table of supported fields cannot say it.
  void unsupported(std::string_view path, std::string_view what);
  const std::vector<std::string>& refused() const { return refused_; }
  std::string where(std::string_view path) const { return positions_.locate(path); }

  // Reads an Any as M; false, with an error, when it is of another type.
  template <typename M>
  bool unpack(const google::protobuf::Any& any, M* message, std::string_view path) {
    if (any.UnpackTo(message)) return true;
    error(path, text::cat("expected ", M::descriptor()->full_name(), ", got ", any.type_url()));
    return false;
  }

  // The place of the cluster. With `must_exist` an error is reported when there is none of this name.
  cluster::ClusterSlotPtr slot(const std::string& name, bool must_exist, std::string_view path);
  // Whether there is such a cluster. Not set: clusters may yet come, so none is missed.
  std::function<bool(const std::string&)> has_cluster;

  // Secrets that came while the process runs. Not set: they are still to come.
  const SecretsAtHand* secrets = nullptr;

  // One for all clusters that ask for the same.
  std::shared_ptr<transport::Connector> plain_connector(const transport::SocketOptions& options);

 private:
  SharedParts& parts_;
  const bootstrap_v3::Bootstrap& bootstrap_;
  const text::PositionMap& positions_;
  bool of_resource_ = false;
  std::vector<std::string> errors_;
  std::vector<std::string> refused_;
};

// For wrappers and durations that may be absent.
#define WEFT_MS_OR(message, field, otherwise) \
  ((message).has_##field() ? ::weft::config::to_ms((message).field()) : (otherwise))
#define WEFT_VALUE_OR(message, field, otherwise) ((message).has_##field() ? (message).field().value() : (otherwise))

transport::Address compile_address(Context& context, const core_v3::Address& address, std::string_view path);
transport::Address compile_socket_address(Context& context, const core_v3::SocketAddress& address,
                                          std::string_view path);
// `path` is that of the list's field.
std::vector<snapshot::Cidr> compile_ranges(Context& context,
                                           const google::protobuf::RepeatedPtrField<core_v3::CidrRange>& ranges,
                                           std::string_view path);
transport::TcpKeepalive compile_keepalive(const core_v3::TcpKeepalive& keepalive);

// An empty pointer, with an error, when the pattern is wrong.
std::shared_ptr<const route::Regex> compile_regex(Context& context, const matcher_v3::RegexMatcher& matcher,
                                                  std::string_view path);
route::StringMatcher compile_string_matcher(Context& context, const matcher_v3::StringMatcher& matcher,
                                            std::string_view path);

}  // namespace weft::config
