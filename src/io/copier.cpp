// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/copier.h"

#include <system_error>
#include <utility>

#include <fcntl.h>

#include <fmt/format.h>

#include "model_prep/io/plain_folder_writer.h"

namespace model_prep {

Copier::~Copier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

CopyJobId Copier::open(const NearbyFile& from, Bytes size, UniqueFd target,
                       const std::string& wanted) {
  const std::lock_guard lock(mutex_);
  tasks_.emplace(next_,
                 Task{.from = from, .size = size, .target = std::move(target), .wanted = wanted});
  return next_++;
}

void Copier::copy(CopyJobId job, ByteRange range, bool may_clone) {
  const std::lock_guard lock(mutex_);
  requests_.push_back({job, range, may_clone});
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    requests_.pop_back();  // a limit of processes: the network will do
    events_.push_back(
        {.job = job,
         .error = Error{ErrorKind::io, fmt::format("cannot start a thread: {}", error.what())}});
    return wake_();
  }
  work_.notify_one();
}

void Copier::close(CopyJobId job) {
  const std::lock_guard lock(mutex_);
  std::erase_if(requests_, [&](const Request& request) { return request.job == job; });
  std::erase_if(events_, [&](const CopyEvent& event) { return event.job == job; });
  if (busy_ == job)
    tasks_.at(job).closed = true;
  else
    tasks_.erase(job);
}

std::vector<CopyEvent> Copier::take_all() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  return std::exchange(events_, {});
}

void Copier::run() {
  try {
    work();
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    wake_();
  }
}

void Copier::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || !requests_.empty(); });
    if (stopping_) return;

    const Request request = requests_.front();
    requests_.pop_front();
    Task& task = tasks_.at(request.job);
    busy_ = request.job;

    // The mutex is free while bytes are copied. Nobody erases the task meanwhile.
    lock.unlock();
    CopyEvent event = carry_out(request, task);
    lock.lock();

    busy_.reset();
    if (task.closed) {
      tasks_.erase(request.job);
      continue;
    }
    events_.push_back(std::move(event));
    lock.unlock();
    wake_();
    lock.lock();
  }
}

Status Copier::open_source(Task& task) {
  if (task.source) return ok();
  const Directory& folder = folders_.try_emplace(task.from.folder, task.from.folder).first->second;
  auto source = folder.open_file(task.from.path, O_RDONLY);
  if (!source) return source.error();

  const auto found = stat_fd(*source);
  if (!found || found->size != task.size)
    return Error{ErrorKind::io, fmt::format("{} has not {} bytes", task.from.path, task.size)};
  task.source = std::move(*source);
  return ok();
}

CopyEvent Copier::carry_out(const Request& request, Task& task) {
  const auto failed = [&](Error error) {
    return CopyEvent{.job = request.job, .error = std::move(error)};
  };
  if (Status opened = open_source(task); !opened) return failed(opened.error());

  if (request.may_clone && clone_file(task.source, task.target)) {
    const auto clone = stat_fd(task.target);
    if (clone && clone->size == task.size) return {.job = request.job, .range = {0, task.size}};
    return failed({ErrorKind::io, task.from.path + " changed while it was read"});
  }

  Status copied = copy_bytes(task.source, task.target, request.range.begin, request.range.end,
                             {task.from.path, task.wanted});
  if (copied) return {.job = request.job, .range = request.range};
  return failed(copied.error());
}

}  // namespace model_prep
