// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/http.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <type_traits>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/core/header_limit.h"
#include "model_prep/core/rate_limiter.h"
#include "model_prep/core/stall_detector.h"
#include "model_prep/io/libcurl_info.h"
#include "model_prep/io/libcurl_response.h"
#include "model_prep/io/owned.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/tls.h"
#include "model_prep/io/transfer_error.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

using EasyHandle = Owned<CURL, curl_easy_cleanup>;
using MultiHandle = Owned<CURLM, curl_multi_cleanup>;
using HeaderList = Owned<curl_slist, curl_slist_free_all>;

constexpr long kConnectSeconds = 30;
constexpr std::chrono::milliseconds kMaxPoll = std::chrono::minutes(10);
// Of a body that is ignored: beyond this, closing the connection is cheaper than reading on.
constexpr std::size_t kMaxIgnoredBytes = 64 * 1024;

void check(CURLMcode code) {
  if (code != CURLM_OK) throw FatalError({ErrorKind::internal, curl_multi_strerror(code)});
}

/// Zero if libcurl does not know it.
template <class T>
T info(CURL* easy, CURLINFO what) {
  T value{};
  curl_easy_getinfo(easy, what, &value);
  return value;
}

/// One exchange. It never moves: libcurl keeps pointers into it.
struct Transfer {
  TransferId id{0};
  Url url;
  BodySink* sink{nullptr};
  EasyHandle easy;
  HeaderList headers;
  std::array<char, CURL_ERROR_SIZE> reason{};
  ResponseHead head;
  BodySink::Body body{BodySink::Body::ignored};
  bool has_head{false};
  bool reached{false};
  bool decoded{false};         // libcurl removes the response's encoding
  bool sink_has_bytes{false};  // since its last `on_pause`
  std::size_t ignored_bytes{0};
  HeaderLimit header_limit;
  StallDetector stall;
  RateLimiter* limiter{nullptr};  // only of a payload, and only if there is a rate
  TlsTrust* trust{nullptr};
  std::optional<Proxy> proxy;
  std::string roots;           // the file with the system's CA certificates; empty: none is there
  std::optional<Error> error;  // of the sink, or found here

  void set_up(const Request& request, const TransportSettings& settings);
  void set_up_connection(const Request& request, const TransportSettings& settings);

  template <class T>
  void set(CURLoption option, T value) {
    static_assert(std::is_same_v<T, long> || std::is_pointer_v<T>,
                  "curl_easy_setopt is variadic: pass long or a pointer");
    if (curl_easy_setopt(easy.get(), option, value) != CURLE_OK)
      throw FatalError({ErrorKind::internal, "libcurl rejected an option"});
  }

  void complete_head() {
    if (has_head) return;

    has_head = true;
    head = read_head(easy.get(), url);
    if (decoded) head.content_encoding.clear();
    if (is_from_proxy(head, url, proxy, info<long>(easy.get(), CURLINFO_PRIMARY_PORT),
                      response_header(easy.get(), "WWW-Authenticate")))
      error = proxy_refused(head.status, proxy);  // the sink would take it for the Hub's answer
    else
      body = sink->on_head(head);
  }

  std::size_t on_header_line(std::size_t size) {
    stall.on_bytes(static_cast<Bytes>(size), Clock::now());
    if (auto fault = header_limit.on_line(size)) error = std::move(fault);
    return error ? CURL_WRITEFUNC_ERROR : size;
  }

  /// Returns what libcurl expects: the number of bytes, an error, or a pause, after which libcurl
  /// passes the same bytes again.
  std::size_t on_body(std::span<const char> bytes) {
    const TimePoint now = Clock::now();
    const auto size = static_cast<Bytes>(bytes.size());
    stall.on_bytes(size, now);

    complete_head();
    if (error || body == BodySink::Body::refused) return CURL_WRITEFUNC_ERROR;

    if (body == BodySink::Body::ignored) {
      ignored_bytes += bytes.size();
      if (ignored_bytes <= kMaxIgnoredBytes) return bytes.size();
      body = BodySink::Body::refused;
      return CURL_WRITEFUNC_ERROR;
    }

    if (limiter != nullptr && !limiter->try_acquire(id, size, now)) {
      stall.suspend();
      return CURL_WRITEFUNC_PAUSE;
    }

    sink_has_bytes = true;
    error = sink->on_data(bytes);
    return error ? CURL_WRITEFUNC_ERROR : bytes.size();
  }

  /// Lets the sink flush what it has gathered. False: it failed, and the transfer must end.
  bool flush() {
    if (!sink_has_bytes) return true;

    sink_has_bytes = false;
    auto fault = sink->on_pause();
    if (fault && !error) error = std::move(fault);
    return !error;
  }

  Error failure(CURLcode code) {
    return describe_failure({code, reason[0] != '\0' ? reason.data() : curl_easy_strerror(code),
                             static_cast<int>(info<long>(easy.get(), CURLINFO_HTTP_CONNECTCODE)),
                             has_head, proxy, trust->take(id), !roots.empty()});
  }

  TransferEnd end(CURLcode code) {
    // Also of one that broke off before its body. A head of status 1xx is not the last.
    const bool whole = header_limit.ended() && info<long>(easy.get(), CURLINFO_RESPONSE_CODE) > 199;
    if ((code == CURLE_OK || whole) && !error) complete_head();
    flush();

    const bool refused = body == BodySink::Body::refused;
    TransferEnd result{id, {}, refused, reached || has_head, std::move(error)};
    if (!result.error && code != CURLE_OK && !refused) result.error = failure(code);
    result.head = std::move(head);
    return result;
  }
};

/// No exception may pass through libcurl: it becomes the error of the transfer, which ends.
template <class Callback>
std::size_t guarded(void* user, Callback callback) noexcept {
  auto* transfer = static_cast<Transfer*>(user);
  try {
    return callback(*transfer);
  } catch (const std::exception& exception) {
    transfer->error = Error{ErrorKind::internal, exception.what()};
    return CURL_WRITEFUNC_ERROR;
  }
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  return guarded(user, [&](Transfer& transfer) { return transfer.on_body({data, size * count}); });
}

std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) noexcept {
  return guarded(user, [&](Transfer& transfer) { return transfer.on_header_line(size * count); });
}

/// Connected: from here on silence counts. Before, CURLOPT_CONNECTTIMEOUT applies.
int on_connected(void* user, char*, char*, int, int) noexcept {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->reached = true;
  transfer->stall.begin(Clock::now());
  return CURL_PREREQFUNC_OK;
}

CURLcode on_tls(CURL*, void* context, void* user) noexcept {
  auto* transfer = static_cast<Transfer*>(user);
  return transfer->trust->prepare(context, transfer->id) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

void add_header(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

void Transfer::set_up(const Request& request, const TransportSettings& settings) {
  const bool query = request.kind == RequestKind::query;
  set(CURLOPT_URL, url.text.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{query ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1});
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_USERAGENT, settings.user_agent.c_str());
  if (request.range)
    set(CURLOPT_RANGE, fmt::format("{}-{}", request.range->begin, request.range->end - 1).c_str());

  // Ranges and sizes are those of the file only if it is not compressed. Some mirrors compress all
  // the same: of a query libcurl decodes the response, because it was told what to accept.
  set(CURLOPT_ACCEPT_ENCODING, "identity");
  set(CURLOPT_HTTP_CONTENT_DECODING, long{query});
  decoded = query;

  // docs/developing/hub-protocol.md, section 3.5
  if (settings.counts_as_download) add_header(headers, "X-HF-Download-Counter: 1");
  if (request.token != nullptr)
    add_header(headers, "Authorization: Bearer " + request.token->reveal());
  set(CURLOPT_HTTPHEADER, headers.get());

  set_up_connection(request, settings);

  set(CURLOPT_SSL_CTX_FUNCTION, &on_tls);
  set(CURLOPT_PREREQFUNCTION, &on_connected);
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_WRITEFUNCTION, &on_write);
  for (const CURLoption user : {CURLOPT_SSL_CTX_DATA, CURLOPT_PREREQDATA, CURLOPT_HEADERDATA,
                                CURLOPT_WRITEDATA, CURLOPT_PRIVATE})
    set(user, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, reason.data());
}

void Transfer::set_up_connection(const Request& request, const TransportSettings& settings) {
  // An empty address keeps libcurl from reading the variables itself. NO_PROXY still applies.
  set(CURLOPT_PROXY, proxy ? proxy->address.c_str() : "");
  if (const std::string& direct = settings.proxies.no_proxy(); !direct.empty())
    set(CURLOPT_NOPROXY, direct.c_str());

  // A file that is not there would fail every handshake, even with authorities that are enough.
  // Without CAPATH libcurl reads the file once, not for each connection; on Debian it contains
  // everything that is in the directory.
  const char* const none = nullptr;
  for (const CURLoption option : {CURLOPT_CAINFO, CURLOPT_PROXY_CAINFO})
    set(option, roots.empty() ? none : roots.c_str());
  if (!roots.empty()) set(CURLOPT_CAPATH, none);

  // A large buffer means fewer calls per GiB over plain http; TLS delivers at most 16 KiB anyway.
  // For a small file, allocating it would take longer than receiving. Under a rate limit the reads
  // are small, some dozens a second.
  constexpr Bytes kLargeBuffer = 128 * 1024;
  const Bytes expected = request.expected > 0 ? request.expected : kLargeBuffer;
  const Bytes buffer = settings.rate ? std::clamp<Bytes>(*settings.rate / 64, 1024, 16 * 1024)
                                     : std::clamp<Bytes>(expected, 16 * 1024, kLargeBuffer);
  set(CURLOPT_BUFFERSIZE, static_cast<long>(buffer));
  set(CURLOPT_CONNECTTIMEOUT, std::min(kConnectSeconds, static_cast<long>(settings.stall.count())));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // do not wait at exit for an unresponsive name server
}

}  // namespace

struct Transport::State {
  explicit State(TransportSettings wanted)
      : settings(std::move(wanted)), trust(settings.authorities) {
    if (settings.rate) limiter.emplace(*settings.rate);
  }
  ~State() {
    while (!transfers.empty()) remove(transfers.begin());
  }

  using Transfers = std::map<TransferId, std::unique_ptr<Transfer>>;

  TransportSettings settings;
  TlsTrust trust;
  std::optional<std::string> roots;  // looked for at the first request that may need them
  std::optional<RateLimiter> limiter;
  MultiHandle multi;              // see `open`
  std::atomic<CURLM*> to_wake{};  // the same, for another thread
  Transfers transfers;            // destroyed before `multi`, which they are removed from
  std::vector<EasyHandle> idle;   // to be used again: making one costs more than a small transfer
  std::atomic<bool> woken{false};

  /// A satisfied run does without libcurl and OpenSSL, whose start would be a quarter of its work.
  void open() {
    if (multi) return;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw FatalError({ErrorKind::internal, "cannot initialise libcurl"});
    multi.reset(curl_multi_init());
    if (!multi) throw std::bad_alloc();

    // Each connection's turns alternate between the Hub and the payload host: keep both open.
    check(curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, 2L * settings.connections + 2));
    to_wake = multi.get();
  }

  /// The system's CA certificates, if the transfer may use TLS, with the server or with a proxy.
  std::string roots_for(const Transfer& transfer) {
    if (!transfer.url.https && !transfer.proxy) return {};
    if (!roots) roots = system_authorities();
    return *roots;
  }

  EasyHandle take_handle() {
    if (idle.empty()) return EasyHandle(curl_easy_init());
    EasyHandle easy = std::move(idle.back());
    idle.pop_back();
    return easy;
  }

  EasyHandle remove(Transfers::iterator at) {
    EasyHandle easy = std::move(at->second->easy);
    // Fails only for a handle that was never added.
    curl_multi_remove_handle(multi.get(), easy.get());
    curl_easy_reset(easy.get());  // it refers to the transfer, which it outlives
    trust.forget(at->first);
    if (limiter) limiter->forget(at->first);
    transfers.erase(at);
    return easy;
  }

  void end(Transfers::iterator at, CURLcode code, std::vector<TransferEnd>& ends) {
    ends.push_back(at->second->end(code));
    EasyHandle easy = remove(at);
    // After a failure it may still have a buffer, whose size cannot be set again.
    if (code == CURLE_OK) idle.push_back(std::move(easy));
  }

  /// Continues the transfers that waited for the rate limiter and may read again.
  void resume_ready(TimePoint now, std::vector<TransferEnd>& ends) {
    while (const auto id = limiter ? limiter->next_ready(now) : std::nullopt) {
      const auto at = transfers.find(*id);
      at->second->stall.begin(now);
      // Passes the bytes that were held back to the sink at once, so it can fail.
      const CURLcode code = curl_easy_pause(at->second->easy.get(), CURLPAUSE_CONT);
      if (code != CURLE_OK) end(at, code, ends);
    }
  }

  /// Moves bytes, and returns the transfers that ended or had stalled at `now`. That is a time
  /// before the bytes that wait in the sockets are read: a sink that is slow with one transfer's
  /// bytes must not make the others look stalled.
  std::vector<TransferEnd> perform(TimePoint now) {
    int number = 0;
    std::vector<TransferEnd> ends;
    resume_ready(now, ends);
    check(curl_multi_perform(multi.get(), &number));

    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &number)) {
      auto* transfer = static_cast<Transfer*>(
          static_cast<void*>(info<char*>(message->easy_handle, CURLINFO_PRIVATE)));
      end(transfers.find(transfer->id), message->data.result, ends);
    }

    for (auto at = transfers.begin(); at != transfers.end();) {
      const auto here = at++;
      if (here->second->stall.due() > now) continue;
      here->second->error = here->second->stall.error();
      end(here, CURLE_OPERATION_TIMEDOUT, ends);
    }
    return ends;
  }

  /// Whether a sink holds bytes that it has not written.
  bool gathering() const {
    return std::ranges::any_of(transfers, [](const auto& it) { return it.second->sink_has_bytes; });
  }

  /// Lets all sinks flush, and ends the transfers whose sink failed.
  std::vector<TransferEnd> flush() {
    std::vector<TransferEnd> ends;
    for (auto at = transfers.begin(); at != transfers.end();) {
      const auto here = at++;
      if (!here->second->flush()) end(here, CURLE_WRITE_ERROR, ends);
    }
    return ends;
  }

  /// Waits for a socket, at most this long. Returns how many are ready.
  int wait(std::chrono::milliseconds timeout) {
    int ready = 0;
    curl_waitfd wake_fd{settings.wake_fd, CURL_WAIT_POLLIN, 0};
    check(curl_multi_poll(multi.get(), &wake_fd, wake_fd.fd >= 0 ? 1 : 0,
                          static_cast<int>(timeout.count()), &ready));
    return ready;
  }

  /// When the next transfer stalls or may read again.
  TimePoint due() const {
    TimePoint earliest = limiter ? limiter->due() : TimePoint::max();
    for (const auto& [id, one] : transfers) earliest = std::min(earliest, one->stall.due());
    return earliest;
  }
};

Transport::Transport(TransportSettings settings)
    : state_(std::make_unique<State>(std::move(settings))) {}

Transport::~Transport() = default;

void Transport::start(TransferId id, const Request& request, BodySink& sink) {
  state_->open();
  auto transfer = std::make_unique<Transfer>();
  transfer->id = id;
  transfer->url = request.url;
  transfer->sink = &sink;
  transfer->easy = state_->take_handle();
  if (!transfer->easy) throw std::bad_alloc();
  transfer->trust = &state_->trust;
  transfer->proxy = state_->settings.proxies.proxy_for(request.url);
  transfer->stall = StallDetector(state_->settings.stall);
  if (state_->limiter && request.kind == RequestKind::payload)
    transfer->limiter = &*state_->limiter;

  transfer->roots = state_->roots_for(*transfer);
  transfer->set_up(request, state_->settings);
  check(curl_multi_add_handle(state_->multi.get(), transfer->easy.get()));
  state_->transfers.emplace(id, std::move(transfer));
}

void Transport::cancel(TransferId id) {
  if (const auto found = state_->transfers.find(id); found != state_->transfers.end())
    state_->remove(found);
}

std::vector<TransferEnd> Transport::poll(TimePoint until) {
  state_->open();

  if (state_->gathering()) {
    // Once nothing more can be read at the moment, the sinks must not hold bytes back. With these
    // the caller may have more to do than to wait until that time.
    if (state_->wait(std::chrono::milliseconds(0)) == 0) return state_->flush();
  } else {
    // The wait above may have consumed the wakeup that `wake` sent.
    const TimePoint now = Clock::now();
    until = std::min(until, state_->due());
    if (until > now && !state_->woken.exchange(false))
      state_->wait(std::min(std::chrono::ceil<std::chrono::milliseconds>(until - now), kMaxPoll));
  }
  return state_->perform(Clock::now());
}

void Transport::wake() {
  // One is enough until the loop has seen it. Without a handle the loop does not wait yet, and will
  // see `woken` before it does.
  if (state_->woken.exchange(true)) return;
  if (CURLM* multi = state_->to_wake) check(curl_multi_wakeup(multi));
}

}  // namespace model_prep
