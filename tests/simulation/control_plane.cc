#include "tests/simulation/control_plane.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/registry/registry.h"
#include "control-plane/registry/workloads.h"
#include "control-plane/server/drains.h"
#include "control-plane/server/registration.h"
#include "control-plane/source/sqlite/sqlite_store.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tests/simulation/kept_store.h"
#include "tests/simulation/wire.h"

namespace weft::simulation {

namespace xds = control::xds;
namespace registry = control::registry;
namespace snapshot = control::snapshot;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

namespace {

constexpr int64_t kWorkloadGraceMs = 10'000;

std::optional<int64_t> earlier(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() ? a : b;
  return std::min(*a, *b);
}

}  // namespace

struct ControlPlane::Running {
  std::unique_ptr<control::server::Control> control;
  std::unique_ptr<control::server::Mesh> mesh;
  registry::Workloads workloads{kWorkloadGraceMs};
  control::server::Drains drains;
  std::unique_ptr<control::server::Registration> registration;
  std::unique_ptr<xds::Hub> hub;
  // In the order in which they came.
  std::map<uint64_t, std::unique_ptr<Session>> sessions;
  uint64_t last_session = 0;
  std::optional<int64_t> armed_ms;
  bool has_model = false;
};

// As control-plane/xds/grpc_service.cc treats a stream: one message is read after the one before was handled, one is
// written after the other.
class ControlPlane::Session final : public xds::Sink, public Link::End {
 public:
  Session(ControlPlane& owner, uint64_t key, LinkPointer link, xds::Form form, std::optional<xds::Type> only)
      : owner_(owner), key_(key), link_(std::move(link)), form_(form) {
    link_->attach(Side::kControlPlane, *this);
    id_ = hub().open(form, only, link_->name(), *this);
  }
  ~Session() override { link_->let_go(Side::kControlPlane); }

  Link& link() { return *link_; }

  void send(const xds::Response& response) override {
    ++owner_.responses_;
    check(response);
    outgoing_.push_back(encode(response, form_));
    if (outgoing_.size() == 1) write();
  }

  // Only of a node that says something wrong of itself, which none does here.
  void end(const absl::Status& status) override {
    owner_.world_.fail(absl::StrCat(link_->name(), " is ended by the control plane: ", status.message()));
  }

  void on_message(const std::string& bytes) override {
    if (form_ == xds::Form::kDelta) {
      receive<DeltaDiscoveryRequest>(bytes);
    } else {
      receive<DiscoveryRequest>(bytes);
    }
    owner_.tick();
  }

  void on_room() override {
    if (waits_for_room_) written();
  }

  void on_closed() override {
    hub().close(id_);
    ControlPlane& owner = owner_;
    owner.running_->sessions.erase(key_);
    owner.tick();
  }

 private:
  struct OfType {
    // Of the response that is not answered.
    std::string nonce;
    std::map<std::string, uint64_t> sent;
    // By name: what was acknowledged last, and what was refused by name, until another is sent.
    std::map<std::string, uint64_t> accepted;
    std::map<std::string, uint64_t> refused;
  };

  xds::Hub& hub() { return *owner_.running_->hub; }

  template <typename Request>
  void receive(const std::string& bytes) {
    Request request;
    if (!request.ParseFromString(bytes)) return owner_.world_.fail("a request is no valid message");
    answered(request);
    hub().on_request(id_, std::move(request));
  }

  template <typename Request>
  void answered(const Request& request) {
    const auto type = snapshot::type_of_url(request.type_url());
    if (!type.has_value() || request.response_nonce().empty()) return;
    OfType& of_type = types_[static_cast<size_t>(*type)];
    if (of_type.nonce != request.response_nonce()) return;
    of_type.nonce.clear();
    for (const auto& [name, version] : of_type.sent) {
      if (!request.has_error_detail()) of_type.accepted[name] = version;
      if (xds::mentions(request.error_detail().message(), name)) of_type.refused[name] = version;
    }
  }

  void check(const xds::Response& response) {
    OfType& of_type = types_[static_cast<size_t>(response.type)];
    const std::string type(snapshot::type_name(response.type));
    if (!of_type.nonce.empty())
      owner_.world_.fail(absl::StrCat("two responses of type ", type, " are in flight on one stream"));
    of_type.nonce = response.nonce;
    of_type.sent.clear();
    for (const xds::ResourcePointer& resource : response.resources) {
      of_type.sent.emplace(resource->name, resource->version);
      const auto refused = of_type.refused.find(resource->name);
      if (refused == of_type.refused.end()) continue;
      if (refused->second == resource->version) {
        if (is_known_as_refused(*resource))
          owner_.world_.fail(absl::StrCat(type, " \"", resource->name, "\" is sent again after it was refused"));
        of_type.refused.erase(refused);
      } else if (of_type.accepted[resource->name] != resource->version) {
        of_type.refused.erase(refused);
      }
    }
    if (outgoing_.size() >= snapshot::kTypeCount)
      owner_.world_.fail(absl::StrCat(outgoing_.size() + 1, " responses wait for one slow reader"));
  }

  // What was gone in between may come again.
  bool is_known_as_refused(const snapshot::Resource& resource) {
    for (const xds::NodeStatus& node : hub().status()) {
      if (node.peer != link_->name()) continue;
      for (const xds::TypeStatus& type : node.types) {
        const auto refusal = type.refusals.find(resource.name);
        if (type.type == resource.type && refusal != type.refusals.end())
          return refusal->second.version == resource.version;
      }
    }
    return false;
  }

  void write() {
    link_->send(Side::kControlPlane, outgoing_.front());
    waits_for_room_ = !link_->has_room(Side::kControlPlane);
    if (!waits_for_room_) written();
  }
  void written() {
    waits_for_room_ = false;
    outgoing_.pop_front();
    if (!outgoing_.empty()) write();
  }

  ControlPlane& owner_;
  const uint64_t key_;
  const LinkPointer link_;
  const xds::Form form_;
  xds::Hub::SessionId id_ = 0;
  std::deque<std::string> outgoing_;
  bool waits_for_room_ = false;
  std::array<OfType, snapshot::kTypeCount> types_;
};

ControlPlane::ControlPlane(World& world, std::string path) : world_(world), path_(std::move(path)) {
  open_store();
  auto workloads = control::server::WorkloadStore::open(":memory:");
  if (workloads.ok()) workload_store_ = *std::move(workloads);
  start();
}

ControlPlane::~ControlPlane() { crash(); }

void ControlPlane::open_store() {
  auto store = control::source::sqlite::SqliteStore::open(path_.empty() ? ":memory:" : path_);
  if (!store.ok()) return world_.fail(absl::StrCat("the store does not open: ", store.status().message()));
  store_ = *std::move(store);
}

void ControlPlane::start() {
  ++life_;
  running_ = std::make_unique<Running>();
  auto control = control::server::Control::create(std::make_unique<KeptStore>(store_), &world_.control_clock());
  if (!control.ok()) return world_.fail(absl::StrCat("the store cannot be read: ", control.status().message()));
  running_->control = *std::move(control);
  // As XdsServer: the first model is in force before any stream is there.
  running_->mesh =
      std::make_unique<control::server::Mesh>(std::make_shared<registry::Model>(), control::server::Mesh::Limits());
  running_->registration = std::make_unique<control::server::Registration>(*running_->mesh, running_->workloads,
                                                                           running_->drains, world_.control_clock());
  running_->hub = std::make_unique<xds::Hub>(*running_->registration, world_.control_clock());
  const auto known = workload_store_->load();
  if (!known.ok()) return world_.fail(absl::StrCat("the workloads cannot be read: ", known.status().message()));
  running_->workloads.restore(*known, world_.control_clock().monotonic_ms());
  running_->control->apply_workloads(running_->workloads.take_changes());
  running_->control->set_on_model(
      [this, life = life_](const registry::ModelPointer& model, const registry::ChangeSet& changed) {
        if (!std::exchange(running_->has_model, true)) {
          take(model, changed);
          push(INT64_MAX);
          return;
        }
        // From the thread that commits to the hub's.
        world_.at(0, [this, life, model, changed] {
          if (life != life_ || !up()) return;
          take(model, changed);
          tick();
        });
      });
  world_.note("the control plane starts");
  arm();
}

void ControlPlane::crash() {
  if (!up()) return;
  world_.note("the control plane crashes");
  ++life_;
  for (auto& [key, session] : running_->sessions) session->link().cut(world_.between(0, kCrashKnownUs), 0);
  running_.reset();
  if (path_.empty()) return;
  store_.reset();
  open_store();
}

bool ControlPlane::accept(const LinkPointer& link, xds::Form form, std::optional<xds::Type> only) {
  if (!up()) return false;
  const uint64_t key = ++running_->last_session;
  running_->sessions.emplace(key, std::make_unique<Session>(*this, key, link, form, only));
  return true;
}

void ControlPlane::tell_workloads() {
  const std::vector<registry::WorkloadChange> changes = running_->workloads.take_changes();
  if (changes.empty()) return;
  const absl::Status saved = workload_store_->save(changes);
  if (!saved.ok()) world_.fail(absl::StrCat("workloads cannot be kept: ", saved.message()));
  running_->control->apply_workloads(changes);
}

void ControlPlane::take(const registry::ModelPointer& model, const registry::ChangeSet& changed) {
  const int64_t now_ms = world_.control_clock().monotonic_ms();
  running_->hub->rollouts().on_commit(model->revision, now_ms);
  running_->mesh->set(model, changed, now_ms);
}

void ControlPlane::push(int64_t now_ms) {
  const std::optional<xds::Brought> brought = running_->mesh->advance(now_ms);
  if (!brought.has_value()) return;
  const std::vector<const snapshot::View*> changed = running_->mesh->take_changed();
  running_->hub->push(*brought, &changed);
}

void ControlPlane::tick() {
  running_->registration->advance();
  running_->workloads.advance(world_.control_clock().monotonic_ms());
  tell_workloads();
  push(world_.control_clock().monotonic_ms());
  running_->hub->rollouts().tell();
  arm();
}

void ControlPlane::arm() {
  const std::optional<int64_t> due_ms =
      earlier(running_->registration->due_ms(), earlier(running_->mesh->due_ms(), running_->workloads.due_ms()));
  if (!due_ms.has_value() || running_->armed_ms == due_ms) return;
  running_->armed_ms = due_ms;
  const int64_t delay_ms = std::max<int64_t>(0, *due_ms - world_.control_clock().monotonic_ms());
  world_.at(delay_ms * 1000, [this, life = life_] {
    if (life != life_ || !up()) return;
    running_->armed_ms.reset();
    tick();
  });
}

control::server::Control& ControlPlane::control() { return *running_->control; }
const xds::Hub& ControlPlane::hub() const { return *running_->hub; }
const control::server::Mesh& ControlPlane::mesh() const { return *running_->mesh; }
size_t ControlPlane::session_count() const { return running_ == nullptr ? 0 : running_->sessions.size(); }

void ControlPlane::check_memory() {
  if (!up()) return;
  if (hub().session_count() != running_->sessions.size())
    world_.fail(absl::StrCat("the hub has ", hub().session_count(), " sessions, and ", running_->sessions.size(),
                             " streams are there"));
  const size_t services = mesh().model().services.size();
  // A service has at most 3 ports here, each under 6 names; and what was removed or refused may be due once more.
  const size_t bound = 64 + 64 * services;
  for (const xds::NodeStatus& node : hub().status()) {
    for (const xds::TypeStatus& type : node.types) {
      if (type.held > bound || type.due > bound || type.refusals.size() > bound)
        world_.fail(absl::StrCat("of node ", node.id, " ", type.held, " resources are known as held, ", type.due,
                                 " as due and ", type.refusals.size(), " as refused, with ", services, " services"));
    }
  }
}

const std::map<registry::WorkloadName, registry::Workload>& ControlPlane::workloads() const {
  return running_->workloads.all();
}

registry::ModelPointer ControlPlane::model_from_store() {
  const auto listing = store_->list();
  registry::Registry fresh;
  if (!listing.ok()) {
    world_.fail(absl::StrCat("the store cannot be listed: ", listing.status().message()));
    return fresh.model();
  }
  std::vector<control::source::Change> changes;
  for (const control::source::Object& object : listing->objects)
    changes.push_back({object.key, object.revision, object.content});
  fresh.apply(listing->revision, changes, 0);
  std::vector<registry::WorkloadChange> workloads;
  for (const auto& [name, workload] : this->workloads()) workloads.push_back({name, workload});
  fresh.apply_workloads(workloads);
  return fresh.model();
}

}  // namespace weft::simulation
