// SPDX-License-Identifier: Apache-2.0
#include "support/fake_hub.h"

#include <poll.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "support/hub_connection.h"
#include "support/hub_control.h"
#include "support/hub_fault_book.h"
#include "support/hub_site.h"

namespace model_prep::testing {
namespace {

// More than any client here opens; the next one waits in the kernel's queue.
constexpr std::size_t kMaximumConnections = 256;
constexpr std::string_view kControl = "/_hub/";

enum class Origin { hub, payload };

LoggedRequest make_entry(const HttpRequest& request, Origin origin, std::int64_t connection) {
  LoggedRequest entry;
  entry.origin = origin == Origin::hub ? "hub" : "payload";
  entry.method = request.method;
  entry.target = request.target;
  entry.path = percent_decode(request.path).value_or("");
  entry.headers = request.headers;
  entry.range = request.header("range");
  entry.connection = connection;
  entry.at = std::chrono::steady_clock::now();
  return entry;
}

// Request numbers are never reused, so clearing the log cannot mix up requests in progress.
class Log {
 public:
  std::int64_t add(LoggedRequest entry) {
    entries_.push_back(std::move(entry));
    return first_ + static_cast<std::int64_t>(entries_.size()) - 1;
  }
  LoggedRequest* find(std::int64_t number) {
    return number < first_ ? nullptr : &entries_[static_cast<std::size_t>(number - first_)];
  }
  void clear() {
    first_ += static_cast<std::int64_t>(entries_.size());
    entries_.clear();
  }
  const std::vector<LoggedRequest>& entries() const { return entries_; }

 private:
  std::vector<LoggedRequest> entries_;
  std::int64_t first_ = 0;
};

}  // namespace

struct FakeHub::State {
  struct Worker {
    std::jthread thread;
    std::atomic<bool> done = false;
  };

  explicit State(HubOptions hub_options);
  ~State();

  /// Until then, clients wait in the kernel's queue.
  void start() {
    acceptor = std::jthread([this] { accept_all(); });
  }

  bool is_secret(Origin origin) const {
    return options.tls && (origin == Origin::hub || options.tls->where == HubTls::Where::both);
  }
  std::string hub_origin() const {
    return origin_of(hub_listener, is_secret(Origin::hub) ? "https" : "http");
  }
  std::string payload_origin() const {
    return origin_of(payload_listener, is_secret(Origin::payload) ? "https" : "http");
  }
  void accept_all();
  void start_worker(Descriptor socket, Origin origin);
  void serve(Descriptor socket, Origin origin, std::int64_t number);
  Connection::After serve_request(Connection& connection, const HttpRequest& request, Origin origin,
                                  std::int64_t number);
  Answer answer_control(const HttpRequest& request);
  void change_entry(std::int64_t number, const std::function<void(LoggedRequest&)>& change);

  const HubOptions options;
  const Descriptor stop = make_event();
  const Descriptor hub_listener;
  const Descriptor payload_listener;

  mutable std::mutex mutex;  // for the three below
  mutable std::condition_variable log_changed;
  HubSite site;
  FaultBook faults;
  Log log;

  std::list<Worker> workers;  // the acceptor's own
  std::atomic<std::int64_t> connections = 0;
  std::jthread acceptor;  // last: joined before anything it uses is destroyed
};

FakeHub::State::State(HubOptions hub_options)
    : options(std::move(hub_options)),
      hub_listener(listen_on_loopback(options.hub_port)),
      payload_listener(listen_on_loopback(options.payload_port)),
      site(options, hub_origin(), payload_origin()) {}

FakeHub::State::~State() { set_event(stop); }

void FakeHub::State::accept_all() {
  while (true) {
    std::array<pollfd, 3> ready = {{{stop.get(), POLLIN, 0},
                                    {hub_listener.get(), POLLIN, 0},
                                    {payload_listener.get(), POLLIN, 0}}};
    workers.remove_if([](const Worker& worker) { return worker.done.load(); });
    const bool is_full = workers.size() >= kMaximumConnections;
    // If full, leave new connections in the queue and check again soon whether a worker has ended.
    ::poll(ready.data(), is_full ? 1 : ready.size(), is_full ? 5 : -1);
    if (ready[0].revents != 0) return;
    if (ready[1].revents != 0) start_worker(accept_connection(hub_listener), Origin::hub);
    if (ready[2].revents != 0) start_worker(accept_connection(payload_listener), Origin::payload);
  }
}

void FakeHub::State::start_worker(Descriptor socket, Origin origin) {
  if (socket.get() < 0) return;
  const std::int64_t number = ++connections;
  Worker& worker = workers.emplace_back();
  worker.thread = std::jthread([this, &worker, origin, number, held = std::move(socket)]() mutable {
    serve(std::move(held), origin, number);
    worker.done = true;
  });
}

void FakeHub::State::serve(Descriptor socket, Origin origin, std::int64_t number) {
  Connection connection(std::move(socket), stop.get(), options.bytes_per_second_per_connection);
  if (is_secret(origin) && !connection.start_tls(*options.tls)) return;
  while (true) {
    const auto received = connection.read_request();
    if (std::holds_alternative<Connection::Closed>(received)) break;
    const auto* request = std::get_if<HttpRequest>(&received);
    if (request == nullptr) {
      HttpRequest unknown;
      unknown.keep_alive = false;
      connection.send(unknown, text_answer(400, "text/plain; charset=utf-8", "Bad Request"), {},
                      [](std::int64_t) {});
      break;
    }
    if (serve_request(connection, *request, origin, number) == Connection::After::close) break;
  }
  connection.close_gently();
}

Connection::After FakeHub::State::serve_request(Connection& connection, const HttpRequest& request,
                                                Origin origin, std::int64_t number) {
  if (origin == Origin::hub && request.path.starts_with(kControl)) {
    return connection.send(request, answer_control(request), {}, [](std::int64_t) {});
  }
  Answer answer;
  Delivery delivery;
  std::int64_t entry_number = 0;
  {
    const std::lock_guard lock(mutex);
    answer = origin == Origin::hub ? site.answer_hub(request) : site.answer_payload(request);
    delivery = faults.apply(request, answer);
    LoggedRequest entry = make_entry(request, origin, number);
    entry.kind = answer.kind;
    entry.file = answer.file;
    const bool is_silent = (delivery.reset && delivery.reset->after < 0) ||
                           (delivery.stall && delivery.stall->after < 0);
    entry.status = is_silent ? 0 : answer.status;
    entry_number = log.add(std::move(entry));
  }
  log_changed.notify_all();
  return connection.send(request, answer, delivery, [&](std::int64_t bytes) {
    change_entry(entry_number, [&](LoggedRequest& entry) {
      entry.status = answer.status;
      entry.body_bytes_sent += bytes;
    });
  });
}

void FakeHub::State::change_entry(std::int64_t number,
                                  const std::function<void(LoggedRequest&)>& change) {
  {
    const std::lock_guard lock(mutex);
    LoggedRequest* entry = log.find(number);
    if (entry == nullptr) return;
    change(*entry);
  }
  log_changed.notify_all();
}

Answer FakeHub::State::answer_control(const HttpRequest& request) {
  constexpr std::string_view kJson = "application/json; charset=utf-8";
  const std::string command = request.method + " " + request.path.substr(kControl.size());
  const std::lock_guard lock(mutex);
  if (command == "GET requests") return text_answer(200, kJson, log_as_json(log.entries()));
  if (command == "GET manifest") return text_answer(200, kJson, manifest_of(site.repos()));
  if (command == "DELETE requests") {
    log.clear();
  } else if (command == "DELETE faults") {
    faults.clear();
  } else if (command == "POST faults") {
    try {
      for (Fault& fault : parse_faults(request.body)) faults.add(std::move(fault));
    } catch (const std::invalid_argument& error) {
      return json_error(error_answer(400, "", error.what()));
    }
  } else {
    return json_error(error_answer(404, "", "no such command: " + command));
  }
  return text_answer(200, kJson, "{}");
}

FakeHub::FakeHub(HubOptions options, std::vector<HubRepo> repos)
    : state_(std::make_unique<State>(std::move(options))) {
  for (HubRepo& repo : repos) add(std::move(repo));
  state_->start();
}

FakeHub::~FakeHub() = default;

std::string FakeHub::endpoint() const { return state_->hub_origin() + state_->options.path_prefix; }
std::string FakeHub::payload_origin() const { return state_->payload_origin(); }

void FakeHub::add(HubRepo repo) {
  SiteRepo site_repo = make_site_repo(std::move(repo));
  const std::lock_guard lock(state_->mutex);
  state_->site.add(std::move(site_repo));
}

void FakeHub::add(Fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.add(std::move(fault));
}

void FakeHub::clear_faults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

std::vector<LoggedRequest> FakeHub::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->log.entries();
}

std::vector<LoggedRequest> FakeHub::requests(std::string_view kind) const {
  std::vector<LoggedRequest> chosen = requests();
  std::erase_if(chosen, [&](const LoggedRequest& request) { return request.kind != kind; });
  return chosen;
}

void FakeHub::clear_requests() {
  const std::lock_guard lock(state_->mutex);
  state_->log.clear();
}

std::int64_t FakeHub::connections() const { return state_->connections; }

bool FakeHub::wait_until(const std::function<bool(const std::vector<LoggedRequest>&)>& predicate,
                         std::chrono::milliseconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->log_changed.wait_for(lock, timeout,
                                      [&] { return predicate(state_->log.entries()); });
}

void FakeHub::expire_signed_urls() {
  const std::lock_guard lock(state_->mutex);
  state_->site.expire_signed_urls();
}

std::string FakeHub::manifest() const {
  const std::lock_guard lock(state_->mutex);
  return manifest_of(state_->site.repos());
}

}  // namespace model_prep::testing
