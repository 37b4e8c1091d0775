// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/http.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <type_traits>

#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/core/header_limit.h"
#include "model_prep/core/rate_limiter.h"
#include "model_prep/core/stall_detector.h"
#include "model_prep/io/owned.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/tls.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

using EasyHandle = Owned<CURL, curl_easy_cleanup>;
using MultiHandle = Owned<CURLM, curl_multi_cleanup>;
using HeaderList = Owned<curl_slist, curl_slist_free_all>;

constexpr long kConnectSeconds = 30;
constexpr std::chrono::milliseconds kLongestPoll = std::chrono::minutes(10);
constexpr std::size_t kIgnoredBytes =
    64 * 1024;                  // of a body nobody wants: beyond, closing is cheaper than reading
constexpr int kTooLarge = 100;  // CURLE_TOO_LARGE, which libcurl has since 8.6

template <class T>
void set_option(CURL* handle, CURLoption option, T value) {
  static_assert(std::is_same_v<T, long> || std::is_same_v<T, curl_off_t> || std::is_pointer_v<T>,
                "curl_easy_setopt is variadic: pass long, curl_off_t or a pointer");
  if (curl_easy_setopt(handle, option, value) != CURLE_OK)
    throw FatalError({ErrorKind::internal, "libcurl refuses an option", {}});
}

void check(CURLMcode code) {
  if (code != CURLM_OK) throw FatalError({ErrorKind::internal, curl_multi_strerror(code), {}});
}

std::string header(CURL* easy, const char* name) {
  curl_header* found = nullptr;
  if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK) return {};
  return found->value;
}

template <class T>
T info(CURL* easy, CURLINFO what) {
  T value{};
  if (curl_easy_getinfo(easy, what, &value) != CURLE_OK) return T{};
  return value;
}

ResponseHead read_head(CURL* easy, const Url& asked) {
  ResponseHead head;
  head.status = static_cast<int>(info<long>(easy, CURLINFO_RESPONSE_CODE));
  if (const auto length = info<curl_off_t>(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T); length >= 0)
    head.content_length = length;
  head.content_range = header(easy, "Content-Range");
  head.content_type = header(easy, "Content-Type");
  head.content_encoding = header(easy, "Content-Encoding");
  head.link = header(easy, "Link");
  head.rate_limit = header(easy, "RateLimit");
  head.error_code = header(easy, "X-Error-Code");
  head.error_message = header(easy, "X-Error-Message");
  head.linked_etag = header(easy, "X-Linked-Etag");
  head.linked_size = header_number(header(easy, "X-Linked-Size"));
  head.location = header(easy, "Location");
  if (!head.location.empty()) head.redirect = resolve_url(asked, head.location);
  head.retry_after = std::chrono::seconds(info<curl_off_t>(easy, CURLINFO_RETRY_AFTER));
  return head;
}

/// A node that never moves: libcurl keeps pointers into it.
struct Transfer {
  TransferId id{0};
  Url url;
  BodySink* sink{nullptr};
  EasyHandle easy;
  HeaderList headers;
  std::array<char, CURL_ERROR_SIZE> reason{};
  ResponseHead head;
  BodySink::Body body{BodySink::Body::ignored};
  bool headed{false};
  bool reached{false};
  bool gathered{false};  // the sink has bytes since its last pause
  std::size_t ignored{0};
  HeaderLimit limit;
  StallDetector pace;
  RateLimiter* throttle{nullptr};  // of a payload, if there is a rate
  TlsTrust* trust{nullptr};
  std::optional<Proxy> proxy;
  std::optional<Error> error;  // of the sink, or ours

  void see_head() {
    if (headed) return;
    headed = true;
    head = read_head(easy.get(), url);
    if (is_of_proxy())  // so that the sink does not take it for the hub's
      error = proxy_refused(head.status, proxy);
    else
      body = sink->on_head(head);
  }

  /// No server says 407. A proxy may also answer 401 to a plain request (tinyproxy does, to a wrong
  /// password): the Hub's own says why, and asks for a token.
  bool is_of_proxy() const {
    if (head.status != 401 || !proxy || url.https) return head.status == 407;
    const auto port = info<long>(easy.get(), CURLINFO_PRIMARY_PORT);
    const bool direct = url.origin.ends_with(fmt::format(":{}", port)) || port == 80;  // NO_PROXY
    return !direct && head.error_code.empty() && head.error_message.empty() &&
           header(easy.get(), "WWW-Authenticate").starts_with("Basic");
  }

  std::size_t take_header(std::size_t size) {
    pace.on_bytes(static_cast<std::int64_t>(size), Clock::now());
    if (auto fault = limit.on_line(size)) error = std::move(fault);
    return error ? CURL_WRITEFUNC_ERROR : size;
  }

  /// What libcurl wants to hear: all of it, none of it, or not yet: then the same bytes come again.
  std::size_t take(std::span<const char> bytes) {
    const TimePoint now = Clock::now();
    const auto size = static_cast<std::int64_t>(bytes.size());
    pace.on_bytes(size, now);
    see_head();
    if (error) return CURL_WRITEFUNC_ERROR;
    if (body == BodySink::Body::ignored) {
      ignored += bytes.size();
      if (ignored > kIgnoredBytes) body = BodySink::Body::refused;
    } else if (body == BodySink::Body::wanted) {
      if (throttle != nullptr && !throttle->try_acquire(id, size, now)) {
        pace.suspend();
        return CURL_WRITEFUNC_PAUSE;
      }
      gathered = true;
      error = sink->on_data(bytes);
    }
    return body != BodySink::Body::refused && !error ? bytes.size() : CURL_WRITEFUNC_ERROR;
  }

  /// Whether the transfer can go on.
  bool pause() {
    if (!gathered) return true;
    gathered = false;
    auto fault = sink->on_pause();
    if (fault && !error) error = std::move(fault);
    return !error;
  }

  /// What libcurl says, in words that name no secret.
  Error fault(CURLcode code) {
    const auto connect_status = static_cast<int>(info<long>(easy.get(), CURLINFO_HTTP_CONNECTCODE));
    if (code != CURLE_OPERATION_TIMEDOUT && connect_status >= 300)
      return proxy_refused(connect_status, proxy);
    std::string text = reason[0] != '\0' ? reason.data() : curl_easy_strerror(code);
    if (proxy && text.starts_with("Unsupported proxy")) return proxy_unusable(*proxy);
    if (proxy) text = without_secrets(std::move(text), *proxy);
    // A signature that does not fit has libcurl's code for any failed handshake: the verdict tells
    // them apart.
    const auto verdict = trust->take(id);
    if (code == CURLE_PEER_FAILED_VERIFICATION || (verdict && !verdict->trusted))
      return {
          ErrorKind::protocol,
          "its certificate is not trusted: " + (verdict ? verdict->text : text),
          "if a proxy inspects TLS here or a mirror has its own authority, name that authority's certificate with "
          "--ca-file; else install ca-certificates"};
    // libcurl before 8.6 calls a header line beyond its 100 KB a lack of memory.
    if (!headed && (code == CURLE_OUT_OF_MEMORY || code == kTooLarge))
      text = "a header line of the answer does not end within 100 KB";
    return {kind_of_transfer_error(code), text, {}};
  }

  TransferEnd end(CURLcode code) {
    if (code == CURLE_OK && !error) see_head();  // of an answer without a body
    pause();
    const bool refused = body == BodySink::Body::refused;
    TransferEnd result{id, {}, refused, reached || headed, std::move(error)};
    if (!result.error && code != CURLE_OK && !result.refused) result.error = fault(code);
    result.head = std::move(head);
    return result;
  }
};

/// Nothing may be thrown through libcurl: what goes wrong here ends the transfer, and the loop
/// tells.
template <class Take>
std::size_t guarded(void* user, Take take) noexcept {
  auto* transfer = static_cast<Transfer*>(user);
  try {
    return take(*transfer);
  } catch (const std::exception& fault) {
    transfer->error = Error{ErrorKind::internal, fault.what(), {}};
    return CURL_WRITEFUNC_ERROR;
  }
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  return guarded(user, [&](Transfer& transfer) { return transfer.take({data, size * count}); });
}
std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) noexcept {
  return guarded(user, [&](Transfer& transfer) { return transfer.take_header(size * count); });
}

/// The connection stands: from here on silence counts, before it libcurl's limit for connecting.
int on_connected(void* user, char*, char*, int, int) noexcept {
  static_cast<Transfer*>(user)->reached = true;
  static_cast<Transfer*>(user)->pace.begin(Clock::now());
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

/// Where libcurl looks for the system's roots. An image without ca-certificates lacks the file:
/// every handshake would fail for that, also where --ca-file names all that is needed.
enum class SystemRoots : std::uint8_t { present, missing };
SystemRoots system_roots() {
  const std::string file = system_authorities();
  return file.empty() || ::access(file.c_str(), R_OK) == 0 ? SystemRoots::present
                                                           : SystemRoots::missing;
}

/// A large buffer: fewer calls per GiB on plain http; TLS gives 16 KiB whatever it says. Under a
/// rate small pieces, some dozens a second.
long buffer_bytes(std::optional<std::int64_t> rate) {
  return rate ? static_cast<long>(std::clamp<std::int64_t>(*rate / 64, 1024, 16 * 1024))
              : 128 * 1024;
}

void configure(Transfer& transfer, const Request& request, const TransportSettings& settings,
               SystemRoots roots) {
  CURL* easy = transfer.easy.get();
  // whom
  set_option(easy, CURLOPT_URL, request.url.text.c_str());
  set_option(easy, CURLOPT_PATH_AS_IS, 1L);
  set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // Without a folder of certificates beside the file libcurl reads the file once and not for each
  // connection. Debian's file holds what is in the folder.
  set_option(easy, roots == SystemRoots::missing ? CURLOPT_CAINFO : CURLOPT_CAPATH,
             static_cast<char*>(nullptr));
  set_option(easy, CURLOPT_SSL_CTX_FUNCTION, &on_tls);
  set_option(easy, CURLOPT_SSL_CTX_DATA, static_cast<void*>(&transfer));
  // libcurl reads `http_proxy` in lower case only, for the sake of CGI programs; this is none.
  // NO_PROXY still counts.
  if (transfer.proxy && transfer.proxy->variable == "HTTP_PROXY")
    set_option(easy, CURLOPT_PROXY, transfer.proxy->address.c_str());
  // what
  const bool query = request.kind == RequestKind::query;
  set_option(easy, CURLOPT_HTTP_VERSION,
             long{query ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1});
  set_option(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  if (request.range)
    set_option(easy, CURLOPT_RANGE,
               fmt::format("{}-{}", request.range->begin, request.range->end - 1).c_str());
  add_header(transfer.headers,
             "Accept-Encoding: identity");  // so that ranges and sizes are the file's
  if (request.token != nullptr)
    add_header(transfer.headers, "Authorization: Bearer " + request.token->reveal());
  set_option(easy, CURLOPT_HTTPHEADER, transfer.headers.get());
  // how long
  set_option(easy, CURLOPT_CONNECTTIMEOUT,
             std::min(kConnectSeconds, static_cast<long>(settings.stall.count())));
  set_option(easy, CURLOPT_PREREQFUNCTION, &on_connected);
  set_option(easy, CURLOPT_PREREQDATA, static_cast<void*>(&transfer));
  set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set_option(easy, CURLOPT_BUFFERSIZE, buffer_bytes(settings.rate));
  // safety
  set_option(easy, CURLOPT_NOSIGNAL, 1L);
  set_option(easy, CURLOPT_QUICK_EXIT,
             1L);  // a name server that does not answer shall not hold up an end
  set_option(easy, CURLOPT_ERRORBUFFER, transfer.reason.data());
  set_option(easy, CURLOPT_HEADERFUNCTION, &on_header);
  set_option(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set_option(easy, CURLOPT_WRITEFUNCTION, &on_write);
  set_option(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set_option(easy, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
}

}  // namespace

/// Transient is an allow-list: what is not named here is not tried again.
ErrorKind kind_of_transfer_error(int code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:  // the handshake; a certificate that is not trusted has a code of
                                   // its own
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_PROXY: return ErrorKind::network;  // a SOCKS proxy that did not get through
    case CURLE_OPERATION_TIMEDOUT: return ErrorKind::timeout;
    default: return ErrorKind::protocol;
  }
}

struct Transport::State {
  explicit State(TransportSettings wanted)
      : settings(std::move(wanted)), trust(settings.authorities), multi(curl_multi_init()) {
    if (!multi) throw std::bad_alloc();
    if (settings.rate) throttle.emplace(*settings.rate);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  TransportSettings settings;
  TlsTrust trust;
  SystemRoots roots{system_roots()};
  std::optional<RateLimiter> throttle;
  // Transfers after the multi handle would leave it first; removing them needs it.
  MultiHandle multi;
  std::map<TransferId, std::unique_ptr<Transfer>> transfers;
  std::atomic<bool> woken{false};

  using Place = std::map<TransferId, std::unique_ptr<Transfer>>::iterator;
  void remove(Place at) {
    curl_multi_remove_handle(multi.get(),
                             at->second->easy.get());  // fails only for a handle that is not in it
    trust.forget(at->first);
    if (throttle) throttle->forget(at->first);
    transfers.erase(at);
  }

  void end(Place at, CURLcode code, std::vector<TransferEnd>& ends) {
    ends.push_back(at->second->end(code));
    remove(at);
  }

  /// Lets those go on that were held and may now; those that cannot have ended.
  void go_on(TimePoint now, std::vector<TransferEnd>& ends) {
    while (const auto id = throttle ? throttle->next_ready(now) : std::nullopt) {
      const auto at = transfers.find(*id);
      at->second->pace.begin(now);
      const CURLcode code =
          curl_easy_pause(at->second->easy.get(), CURLPAUSE_CONT);  // takes what was held, too
      if (code != CURLE_OK) end(at, code, ends);
    }
  }

  /// What has ended by itself, and what has stood still for too long at `now`. That is a time
  /// before the bytes that were waiting in the sockets were taken: who takes long over one
  /// transfer's bytes shall not blame the others.
  std::vector<TransferEnd> move(TimePoint now) {
    int number = 0;
    std::vector<TransferEnd> ends;
    go_on(now, ends);
    check(curl_multi_perform(multi.get(), &number));
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &number)) {
      if (message->msg != CURLMSG_DONE) continue;
      auto* transfer = static_cast<Transfer*>(
          static_cast<void*>(info<char*>(message->easy_handle, CURLINFO_PRIVATE)));
      end(transfers.find(transfer->id), message->data.result, ends);
    }
    for (auto at = transfers.begin(); at != transfers.end();) {
      const auto here = at++;
      if (here->second->pace.due() > now) continue;
      here->second->error = here->second->pace.error();
      end(here, CURLE_OPERATION_TIMEDOUT, ends);
    }
    return ends;
  }

  /// Lets all sinks finish with what they have; those that cannot have ended.
  std::vector<TransferEnd> pause() {
    std::vector<TransferEnd> ends;
    for (auto at = transfers.begin(); at != transfers.end();) {
      const auto here = at++;
      if (!here->second->pause()) end(here, CURLE_WRITE_ERROR, ends);
    }
    return ends;
  }

  /// How many sockets are ready.
  int wait(std::chrono::milliseconds longest) {
    int ready = 0;
    curl_waitfd wake_fd{settings.wake_fd, CURL_WAIT_POLLIN, 0};
    check(curl_multi_poll(multi.get(), &wake_fd, wake_fd.fd >= 0 ? 1 : 0,
                          static_cast<int>(longest.count()), &ready));
    return ready;
  }

  TimePoint due() const {
    TimePoint earliest = throttle ? throttle->due() : TimePoint::max();
    for (const auto& [id, transfer] : transfers)
      earliest = std::min(earliest, transfer->pace.due());
    return earliest;
  }

  ~State() {
    while (!transfers.empty()) remove(transfers.begin());
  }
};

Transport::Transport(TransportSettings settings) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    throw FatalError({ErrorKind::internal, "libcurl cannot be initialised", {}});
  state_ = std::make_unique<State>(std::move(settings));
  // Hub and payload host in turn for each connection: both stay open.
  check(curl_multi_setopt(state_->multi.get(), CURLMOPT_MAXCONNECTS,
                          2L * state_->settings.connections + 2));
}

Transport::~Transport() = default;

void Transport::start(TransferId id, const Request& request, BodySink& sink) {
  auto transfer = std::make_unique<Transfer>();
  transfer->id = id;
  transfer->url = request.url;
  transfer->sink = &sink;
  transfer->easy.reset(curl_easy_init());
  if (!transfer->easy) throw std::bad_alloc();
  transfer->trust = &state_->trust;
  transfer->proxy = proxy_for(request.url);
  transfer->pace = StallDetector(state_->settings.stall);
  if (state_->throttle && request.kind == RequestKind::payload)
    transfer->throttle = &*state_->throttle;
  configure(*transfer, request, state_->settings, state_->roots);
  check(curl_multi_add_handle(state_->multi.get(), transfer->easy.get()));
  state_->transfers.emplace(id, std::move(transfer));
}

void Transport::cancel(TransferId id) {
  if (const auto found = state_->transfers.find(id); found != state_->transfers.end())
    state_->remove(found);
}

std::vector<TransferEnd> Transport::poll(TimePoint until) {
  using Milliseconds = std::chrono::milliseconds;
  const TimePoint now = Clock::now();
  std::vector<TransferEnd> ends = state_->move(now);
  if (!ends.empty()) return ends;
  if (state_->wait(Milliseconds(0)) == 0) {
    ends = state_->pause();
    if (!ends.empty()) return ends;
    until = std::min(until, state_->due());
    // The first wait may have swallowed what `wake` sent.
    if (until > now && !state_->woken.exchange(false))
      state_->wait(std::min(std::chrono::ceil<Milliseconds>(until - now), kLongestPoll));
  }
  return state_->move(Clock::now());
}

void Transport::wake() {
  state_->woken = true;
  check(curl_multi_wakeup(state_->multi.get()));
}

std::string system_authorities() {
  const char* file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file == nullptr ? "" : file;
}

std::string transport_version() {
  return fmt::format("libcurl/{}", curl_version_info(CURLVERSION_NOW)->version);
}

}  // namespace model_prep
