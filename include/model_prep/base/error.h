// SPDX-License-Identifier: Apache-2.0
// Errors as values.
//
// Whatever the network, the disk, the Hub or the user can cause is an `Error`, returned in a
// `Result<T>`. A broken invariant of this program is an assert, or a `FatalError(internal)` that
// only `main` catches. The kinds are those of the summary and are spelled the same in code and
// JSON.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "model_prep/base/enum_names.h"

namespace model_prep {

/// Kinds of one disposition are next to each other.
enum class ErrorKind : std::uint8_t {
  usage,

  // Retried.
  network,
  timeout,
  rate_limited,
  server,

  // The file or model fails.
  not_found,
  revision_not_found,
  gated,
  unauthorized,
  disabled,
  protocol,
  digest_mismatch,
  lock_mismatch,
  offline_missing,
  dependency_missing,
  not_loadable,
  malformed,
  pickle_forbidden,
  license_not_allowed,
  unsafe,
  not_scanned,
  signature_missing,
  signature_mismatch,

  // These, and `usage`, end the run.
  disk_full,
  permission,
  io,
  deadline,
  interrupted,
  internal,
};

/// Whether an endpoint that fails so has nothing to say: another one's error explains more.
constexpr bool is_missing(ErrorKind kind) {
  return kind == ErrorKind::not_found || kind == ErrorKind::revision_not_found ||
         kind == ErrorKind::protocol;
}

/// As the summary spells them.
template <>
inline constexpr std::string_view kNames<ErrorKind>[] = {"usage",
                                                         "network",
                                                         "timeout",
                                                         "rate_limited",
                                                         "server",
                                                         "not_found",
                                                         "revision_not_found",
                                                         "gated",
                                                         "unauthorized",
                                                         "disabled",
                                                         "protocol",
                                                         "digest_mismatch",
                                                         "lock_mismatch",
                                                         "offline_missing",
                                                         "dependency_missing",
                                                         "not_loadable",
                                                         "malformed",
                                                         "pickle_forbidden",
                                                         "license_not_allowed",
                                                         "unsafe",
                                                         "not_scanned",
                                                         "signature_missing",
                                                         "signature_mismatch",
                                                         "disk_full",
                                                         "permission",
                                                         "io",
                                                         "deadline",
                                                         "interrupted",
                                                         "internal"};

/// What an error means for the run. Retrying is an allow-list: an error that is not understood is
/// not retried.
enum class Disposition : std::uint8_t { retry, fail_item, abort_run };
Disposition disposition(ErrorKind kind);

/// `message`: one line in lower case that names the object, without a final period. `hint`: what
/// the user can do about it, or empty.
struct Error {
  ErrorKind kind{ErrorKind::internal};
  std::string message;
  std::string hint{};

  /// An error of the disk that concerns one repository or file only: it does not end the run.
  bool of_one_item{false};
  bool operator==(const Error&) const = default;
};

Disposition disposition(const Error& error);

/// A value or an Error, with the interface of C++23's `std::expected`. Check it and return early:
/// `if (!x) return x.error();`.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool has_value() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return std::get<T>(state_); }
  const T& operator*() const& { return std::get<T>(state_); }
  T&& operator*() && { return std::get<T>(std::move(state_)); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// The result of something that only succeeds or fails.
using Status = Result<std::monostate>;
inline Status ok() { return std::monostate{}; }

/// The run cannot continue. Thrown rarely, caught only in `main`.
struct FatalError : std::exception {
  explicit FatalError(Error why) : error(std::move(why)) {}
  const char* what() const noexcept override { return error.message.c_str(); }

  Error error;
};

/// What an exception means for the run: the error of a `FatalError`, too little memory, or a
/// defect.
Error error_from(const std::exception& exception);

}  // namespace model_prep
