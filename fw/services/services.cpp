// The process that answers strangers on behalf of the firewall.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/services.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/service/messages.hpp"
#include "fw/service/service_loop.hpp"
#include "fw/service/timers.hpp"
#include "fw/services/http_answers.hpp"
#include "fw/services/http_server.hpp"

namespace fw::services {
namespace {

namespace asio = boost::asio;

/// The lock of the one process of a folder, for as long as it lives.
Result<File> only_one(const std::string& dir) {
  const std::string path = dir + "/lock";
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(ErrorCode::io, "cannot make " + path, errno);
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::usage, "another cloudron-fw services uses " + dir + " already");
  return file;
}

limiter::Ticks now_ticks() {
  return limiter::to_ticks(std::chrono::steady_clock::now().time_since_epoch());
}

class Services {
 public:
  Services(const ServicesOptions& options, Budgets budgets, AskedFor asked)
      : options_(options),
        api_(LimiterCore(std::move(budgets)), std::move(asked),
             [this](const WantedBlock& wanted) { block(wanted); }) {}
  ~Services() {  // their threads use the options
    helper_.join();
    asker_.join();
  }
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  Result<void> run() {
    read_tokens();
    take_up(options_.rules());
    if (!in_force_) take_up(options_.fallback);
    api_.sweep(now_ticks());
    const auto listening = server_.listen(options_.runtime_dir + "/limit.sock");
    if (!listening) return listening;
    again_.start();
    sweep_.start();
    loop_.run("limiting requests", [this] {
      read_tokens();
      ask();
    });
    return {};
  }

 private:
  /// Asks what is in force, elsewhere: the loop does not wait.
  void ask() {
    if (std::exchange(asking_, true)) return;
    asio::post(helper_, [this] {
      asio::post(loop_.io(), [this, rules = options_.rules()] {
        asking_ = false;
        take_up(rules);
      });
    });
  }

  void take_up(const Result<HttpRules>& rules) {
    if (rules && in_force_ != *rules) {
      api_.use(*rules);
      in_force_ = *rules;
      messages_.send(Level::info, fmt::format("{} limits in force", rules->limits.size()));
    }
    const std::string problem = rules ? "" : to_string(rules.error());
    if (problem == std::exchange(problem_, problem) || problem.empty()) return;
    messages_.send(
        Level::warning,
        fmt::format("the limits stay as they are, as nobody says which are in force: {}", problem));
  }

  /// A file that cannot be used leaves the tokens that there are.
  void read_tokens() {
    if (options_.tokens.empty()) return;
    const auto text = read_text_file(options_.tokens, kPolicyBytesMax);
    if (!text && text.error() == ENOENT) return api_.use(Tokens());
    auto tokens =
        text ? Tokens::read(*text)
             : fail(ErrorCode::io, fmt::format("cannot be read: {}", why_unreadable(text.error())));
    if (tokens) return api_.use(std::move(*tokens));
    messages_.send(Level::error, fmt::format("{}: {}", options_.tokens, to_string(tokens.error())));
  }

  void block(const WantedBlock& wanted) {
    if (waiting_ == kServiceBlocksMax) {
      messages_.send(Level::warning, fmt::format("{} is not blocked: the daemon is busy",
                                                 to_string(wanted.client)));
      return;
    }
    ++waiting_;
    asio::post(helper_, [this, wanted] {
      asio::post(loop_.io(), [this, wanted, done = options_.block(wanted)] {
        --waiting_;
        tell(wanted, done);
      });
    });
  }

  Responded respond(const HttpRequest& request, std::string_view body, std::string& out,
                    const Again& again) {
    const Responded responded = api_.answer(request, body, now_ticks(), out, again);
    if (responded == Responded::later) ask_blocked();
    return responded;
  }

  /// Has the daemon asked about the clients that are waited for, unless a question is under way.
  void ask_blocked() {
    std::vector<Ip> clients = api_.blocked().next_question();
    if (clients.empty()) return;
    asio::post(asker_, [this, clients = std::move(clients)] {
      asio::post(loop_.io(), [this, clients, blocked = options_.blocked(clients)] {
        api_.blocked().answered(clients, blocked ? std::optional(*blocked) : std::nullopt,
                                std::chrono::duration_cast<BlockedClients::Time>(
                                    std::chrono::steady_clock::now().time_since_epoch()));
        tell_asked(blocked ? "" : to_string(blocked.error()));
        ask_blocked();
      });
    });
  }

  void tell_asked(const std::string& problem) {
    if (problem == std::exchange(not_asked_, problem)) return;
    if (!problem.empty()) {
      messages_.send(
          Level::warning,
          "blocked clients behind proxies pass, as nobody says who is blocked: " + problem);
      return;
    }
    messages_.send(Level::notice,
                   fmt::format("blocked clients behind proxies are refused; {} requests have "
                               "passed unasked until now",
                               api_.blocked().unanswered()));
  }

  void tell(const WantedBlock& wanted, const Result<void>& done) {
    const std::string client = to_string(wanted.client);
    const std::string site = printable(wanted.site);
    messages_.send(
        done ? Level::notice : Level::warning,
        done ? fmt::format("{} blocked for {}: {}", client, to_string(wanted.lasts), wanted.reason)
             : fmt::format("{} is not blocked: {}", client, to_string(done.error())),
        {{"SOURCE", client}, {"SITE", site}});
  }

  const ServicesOptions& options_;
  ServiceLoop loop_;
  Messages messages_{"cloudron-fw-services"};
  Api api_;
  std::optional<HttpRules> in_force_;
  std::string problem_;    ///< the last one that was said
  std::string not_asked_;  ///< the same, of blocks
  bool asking_ = false;
  std::size_t waiting_ = 0;  ///< blocks that the daemon was asked for
  HttpServer server_{loop_.io(),
                     [this](const HttpRequest& request, std::string_view body, std::string& out,
                            const Again& again) { return respond(request, body, out, again); }};
  Periodic again_{loop_.io(), kLimitsAgain, [this] { ask(); }};
  Periodic sweep_{loop_.io(), std::chrono::hours{1}, [this] { api_.sweep(now_ticks()); }};
  asio::thread_pool helper_{1};
  asio::thread_pool asker_{1};
};

}  // namespace

Result<void> run_services(const ServicesOptions& options) {
  const auto folder = make_folder(options.runtime_dir);
  if (!folder) return std::unexpected(folder.error());
  const auto only = only_one(options.runtime_dir);
  if (!only) return std::unexpected(only.error());
  auto budgets = Budgets::in(options.runtime_dir);
  if (!budgets) return std::unexpected(budgets.error());
  auto asked = AskedFor::make();
  if (!asked) return std::unexpected(asked.error());
  Services services(options, std::move(*budgets), std::move(*asked));
  return services.run();
}

}  // namespace fw::services
