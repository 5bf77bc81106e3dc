// The process that rolls a trial back unless it is confirmed.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/guardian.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/ops/sites.hpp"
#include "fw/ops/trial.hpp"

namespace cli {
namespace {

/// Leaves terminal, session and folders behind; of the files only `keep` stays open.
void detach(int keep) {
  (void)::setsid();
  (void)::signal(SIGHUP, SIG_IGN);
  (void)::signal(SIGINT, SIG_IGN);
  (void)::prctl(PR_SET_NAME, "fw-guardian");
  (void)::chdir("/");
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) (void)::dup2(null, fd);
  // The lock is among them: it is the command's.
  if (keep > 3) (void)::close_range(3, static_cast<unsigned>(keep) - 1, 0);
  (void)::close_range(static_cast<unsigned>(keep) + 1, ~0u, 0);
}

/// Tells the journal; there is nobody else.
void tell(int priority, const std::string& what) {
  ::openlog("cloudron-fw", 0, LOG_DAEMON);
  ::syslog(priority, "%s", what.c_str());
}

std::optional<fw::TrialRecord> same(const std::string& state_dir, const fw::TrialRecord& trial) {
  auto now = fw::read_trial_record(state_dir);
  return now && now->begin == trial.begin ? now : std::nullopt;
}

void arm(const fw::File& timer, std::chrono::milliseconds at) {
  itimerspec when{};
  when.it_value.tv_sec = at.count() / 1000;
  when.it_value.tv_nsec = at.count() % 1000 * 1'000'000 + 1;  // never zero: that disarms
  (void)::timerfd_settime(timer.fd(), TFD_TIMER_ABSTIME, &when, nullptr);
}

/// Until the time of the trial is over; false when it has ended before.
bool wait_for(const std::string& state_dir, fw::TrialRecord trial) {
  const fw::File timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  const fw::File changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  (void)::inotify_add_watch(changes.fd(), state_dir.c_str(),
                            IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF);
  for (;;) {
    const auto now = same(state_dir, trial);
    if (!now) return false;
    trial = *now;
    if (is_due(trial, fw::this_moment())) return true;
    arm(timer, trial.until);
    pollfd wake[] = {{timer.fd(), POLLIN, 0}, {changes.fd(), POLLIN, 0}};
    (void)::poll(wake, 2, -1);
    char events[4096];
    while (::read(changes.fd(), events, sizeof events) > 0) {
    }
  }
}

/// True when there is nothing more to do.
bool roll_back(const Context& context, const fw::TrialRecord& trial) {
  const std::string& state_dir = context.state_dir;
  const auto lock = fw::StateLock::take(state_dir);
  if (!lock) {
    tell(LOG_ERR, "the trial is not rolled back: " + to_string(lock.error()));
    return false;
  }
  // Whoever rolled back the rules before may have had no rights to the sites.
  if (!same(state_dir, trial) && !fw::ops::sites_wait(context.environment())) return true;
  const auto done = fw::ops::roll_back_overdue(context.environment());
  if (!done) {
    tell(LOG_ERR, "the trial is not rolled back: " + to_string(done.error()));
    return false;
  }
  if (!done->empty()) tell(LOG_WARNING, *done);
  return true;
}

void guard(const Context& context, int from_command) {
  char word = 0;
  if (::read(from_command, &word, 1) != 1) return;  // the command ended before it began
  ::close(from_command);
  const auto trial = fw::read_trial_record(context.state_dir);
  if (!trial) return;
  if (!wait_for(context.state_dir, *trial) && !fw::ops::sites_wait(context.environment())) return;
  for (int attempt = 1; attempt <= fw::kRollBackTries; ++attempt) {
    if (roll_back(context, *trial)) return;
    const timespec second{1, 0};
    (void)::nanosleep(&second, nullptr);
  }
}

}  // namespace

fw::Result<std::unique_ptr<fw::ops::Guardian>> Guardian::start(const Context& context) {
  Context own = context;
  own.state_dir = fw::ops::absolute_path(context.state_dir);
  own.nginx = context.environment().nginx;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return fw::fail_errno(fw::ErrorCode::io,
                          "cannot start the guardian of the rollback: cannot make a pipe", errno);
  }
  const pid_t process = ::fork();
  if (process < 0) {
    const int reason = errno;
    for (const int end : ends) ::close(end);
    return fw::fail_errno(fw::ErrorCode::memory,
                          "cannot start the guardian of the rollback: cannot fork", reason);
  }
  if (process == 0) {
    detach(ends[0]);
    guard(own, ends[0]);
    ::_exit(kOk);
  }
  ::close(ends[0]);
  return std::unique_ptr<fw::ops::Guardian>(new Guardian(ends[1]));
}

void Guardian::watch() { (void)!::write(to_process_, "!", 1); }

Guardian::~Guardian() { ::close(to_process_); }

}  // namespace cli
