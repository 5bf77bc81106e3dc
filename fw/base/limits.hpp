// Every bound in the program, in one place, with its reason.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace fw {

// The policy file.
inline constexpr std::size_t kPolicyBytesMax = 4u << 20;
inline constexpr std::size_t kNameLengthMax = 20;  // limit, list, app and addon names; they become
                                                   // parts of kernel object names
inline constexpr std::size_t kLimitsMax = 256;
inline constexpr std::size_t kHttpLimitsMax = 64;  // with layer = "http"
inline constexpr std::size_t kListsMax = 64;
inline constexpr std::size_t kOpeningsMax = 63;       // [[open]] tables; with [guests] 64, the bits
                                                      // of a word
inline constexpr std::size_t kOpeningPortsMax = 128;  // of one
inline constexpr std::size_t kOpeningNetworksMax = 4096;
inline constexpr std::size_t kInterfacesMax = 16;         // of one; each is a rule
inline constexpr std::size_t kInterfaceNameMax = 15;      // IFNAMSIZ less the NUL
inline constexpr std::size_t kRuleFilesMax = 64;          // in rules.d
inline constexpr std::size_t kRuleBytesMax = 256u << 10;  // of all of them
inline constexpr std::size_t kRulesMax = 4096;            // in one chain
inline constexpr std::size_t kRulePartsMax = 24;  // of one rule; the kernel takes 128 expressions
                                                  // in 4 KiB, and a part is up to three
inline constexpr std::size_t kRuleValuesMax = 1024;  // in the braces of one rule
inline constexpr std::size_t kTranslatedMax = 8;     // networks; each is a rule
inline constexpr std::size_t kAppsMax = 4096;
inline constexpr std::array<std::uint16_t, 2> kWebPorts{80, 443};  // of the reverse proxy
inline constexpr std::size_t kSitesMax = 4096;
inline constexpr std::size_t kSiteNamesMax = 100;     // of one certificate, at Let's Encrypt
inline constexpr std::size_t kSiteRoutesMax = 64;     // routes, or headers, of a site
inline constexpr std::size_t kSiteTextMax = 1024;     // bytes of a path or an address
inline constexpr std::size_t kHeaderValueMax = 4096;  // bytes
inline constexpr std::size_t kCertificateBytesMax = 1u << 20;  // of a file of PEM
inline constexpr std::size_t kProxyHopsMax = 5;      // in front of each other, for Caddy, HAProxy
inline constexpr std::size_t kCommandWordsMax = 32;  // of a command that is told of failures
inline constexpr std::size_t kAppAddressesMax = 64;
inline constexpr std::size_t kSocketPathMax = 107;  // bytes: what the kernel's address holds
inline constexpr std::size_t kReachMax = 1u << 18;  // app address, addon address and port together
inline constexpr std::size_t kPolicyArrayMax = 65'535;   // entries of one array of the policy file
inline constexpr std::size_t kPolicyDottedMax = 16;      // names in one dotted key; see toml.cpp
inline constexpr std::size_t kPolicyProblemsMax = 1000;  // reported of one policy file

// What a container engine tells: names and labels are a stranger's text.
inline constexpr std::size_t kContainersMax = 4096;     // the rest is not seen, which is said
inline constexpr std::size_t kEngineNetworksMax = 256;  // that apps live in
inline constexpr std::size_t kEngineTextMax = 256;   // bytes of a name or a label; longer: ignored
inline constexpr std::size_t kEnginePortsMax = 128;  // of one container
inline constexpr std::size_t kEngineEventMax = 1u << 20;      // bytes of one event
inline constexpr std::size_t kInventoryBytesMax = 16u << 20;  // of the file that remembers it
inline constexpr std::chrono::seconds kGoneKeep{600};  // a limit's count outlives its container

// Durations: 100 years, so that every end fits a 64-bit clock of nanoseconds.
inline constexpr std::chrono::seconds kDurationMax{36'500ll * 86'400};

// Limits. Up to kWindowCountMax a limit is an exact sliding window: one slot set for each unit of
// the count; above it, a token bucket.
inline constexpr std::uint64_t kWindowCountMax = 16;
inline constexpr std::uint64_t kHttpWindowCountMax = 14;  // of requests: half of a bucket of
                                                          // limiter::Events
inline constexpr std::uint64_t kRateCountMax = 1'000'000;
inline constexpr std::chrono::seconds kRatePeriodMax{86'400};
inline constexpr std::uint32_t kMeterSourcesMax = 65'535;  // sources that one limit tracks at once
// Connections, one after the other, that one entry of connection tracking can be. Another one
// waits until the entry has gone: ten seconds after a reset.
inline constexpr int kLives = 5;
inline constexpr int kLabelBits = 2 + 6 * kLives;     // of the 128 of a connection label
inline constexpr int kLabelBitDefault = 96;           // high: who sets labels by hand begins low
inline constexpr std::uint64_t kOverflowFactor = 16;  // what sources beyond that share, in
                                                      // multiples of one source's rate

// Address lists and blocks.
inline constexpr std::size_t kListEntriesMax = 16u << 20;
inline constexpr std::size_t kListLineBytesMax = 4096;
inline constexpr std::size_t kListBadLinesShown = 20;
inline constexpr std::size_t kBlocksMax = 1u << 20;
inline constexpr std::size_t kReasonMax = 512;  // bytes of a block's reason, by the control socket
inline constexpr std::size_t kOriginMax = 64;   // bytes: a name, such as "fail2ban sshd"

inline constexpr std::size_t kBlockVersionsMax = 64;  // notes of them that the kernel keeps

// Offenders. What each is known by is bounded, and who has been quiet longest is forgotten first.
inline constexpr std::size_t kOffendersMax = 64;         // tables of the policy
inline constexpr std::uint64_t kOffenderCountMax = 256;  // events that one is known by
inline constexpr std::size_t kSuspectsMax = 8192;        // sources that are watched at once
inline constexpr std::size_t kOffencesMax = 65'536;      // blocks whose repetition counts double
inline constexpr std::size_t kEvidencePortsMax = 16;     // ports that a block's evidence names

// The daemon.
inline constexpr std::uint64_t kMessagesRate = 10;  // to the journal, a second
inline constexpr std::uint64_t kMessagesBurst = 100;
inline constexpr std::chrono::seconds kNotifyPatience{1};  // for a manager that does not read
inline constexpr std::size_t kControlClientsMax = 64;      // at once; kControlReserved are root's
inline constexpr std::size_t kControlReserved = 8;
inline constexpr std::size_t kControlLineMax = 256 * 1024;   // bytes of a request
inline constexpr std::size_t kControlAnswerMax = 16u << 20;  // bytes of an answer
inline constexpr std::chrono::seconds kControlPatience{30};  // with a client that does not go on
inline constexpr std::size_t kMetricsClientsMax = 8;         // at once; Prometheus is one or two
inline constexpr std::size_t kMetricsHeaderMax = 8192;  // bytes of a request; Prometheus sends 300
inline constexpr std::chrono::seconds kMetricsPatience{10};  // for a request, and for an answer
inline constexpr std::chrono::seconds kMetricsFresh{1};      // asking the kernel is not free
inline constexpr int kRepairsAMinute = 5;  // that are reported one by one; all are made at once
inline constexpr std::size_t kSourcesWatched = 4096;  // of which `top` knows the busiest
// The activity log. Each text is cut, so a row has at most 18 KiB; the oldest rows go first.
inline constexpr std::size_t kActivityWordMax = 64;            // what, user, tty, remote: bytes
inline constexpr std::size_t kActivitySummaryMax = 512;        // bytes
inline constexpr std::size_t kActivityDetailsMax = 16u << 10;  // bytes; longer ones are left out
inline constexpr std::size_t kActivityLinesMax = 20;           // of a difference or of blocks
inline constexpr std::chrono::seconds kActivityKeep{90 * 86'400};  // unless the policy says else
inline constexpr std::uint64_t kActivityBytes = 256ull << 20;      // unless the policy says else
inline constexpr std::uint64_t kActivityBytesMin = 1ull << 20;     // some 50 rows of the longest
inline constexpr std::uint64_t kActivityBytesMax = 1ull << 40;
inline constexpr std::size_t kActivityStep = 64;  // rows that one insert takes away at most: the
                                                  // log shrinks, and nothing waits for it

// The limiter's service. Its clients are proxies on this host, but what they pass on is a
// stranger's.
inline constexpr std::size_t kServiceClientsMax = 512;     // at once; each proxy worker keeps some
inline constexpr std::size_t kServiceHeadMax = 16u << 10;  // bytes of a request's head
inline constexpr std::size_t kServiceBodyMax = 4096;       // bytes of what is posted
inline constexpr std::chrono::seconds kServicePatience{75};  // with a client that says nothing;
                                                             // proxies give up after 60
inline constexpr std::size_t kServiceNameMax = 256;          // bytes of an account or a site
inline constexpr std::size_t kBucketSlots = 1'310'720;  // token buckets in debt at once: 10 MiB
inline constexpr std::size_t kEventSlots = 1'638'400;   // requests in exact windows: 12.5 MiB
inline constexpr std::size_t kAskedSlots = 1u << 18;    // pairs of site and client: 2 MiB
inline constexpr std::size_t kServiceSitesMax = 4096;   // with a token
inline constexpr std::size_t kHttpSuspectsMax = 4096;   // clients whose refusals are counted
inline constexpr std::size_t kServiceBlocksMax = 64;    // that wait for the daemon at once
inline constexpr std::chrono::seconds kServiceBlockMax{30 * 86'400};  // that it may ask for
inline constexpr int kServicePrefixMin = 48;                          // of an IPv6 client
inline constexpr std::size_t kBlockedAskedMax = kServiceClientsMax;   // addresses of one question
inline constexpr std::chrono::milliseconds kBlockedPatience{150};     // nginx waits for 250
inline constexpr std::size_t kBlockedKnownMax = 4096;    // 400 KiB: whose answer is remembered
inline constexpr std::chrono::seconds kLimitsAgain{10};  // between two questions for the limits
                                                         // that are in force

// The host.
inline constexpr std::size_t kDevicesMax = 64;    // with an early drop; the kernel takes 256
inline constexpr std::size_t kBridgesMax = 1024;  // that are looked at
inline constexpr std::size_t kBridgePortsMax =
    4096;  // whose containers are asked for: two questions
inline constexpr std::size_t kPortAddressesMax = 64;  // of one: a container may give itself more
inline constexpr std::size_t kOpenConnectionsMax = 1u << 20;
inline constexpr std::size_t kRoutesRead = 65'536;  // of a host's; default routes come first
inline constexpr std::size_t kResolversMax = 16;    // that resolv.conf names; libc uses three
inline constexpr std::size_t kResolvConfBytesMax = 64u << 10;
inline constexpr std::size_t kAdoptedMax = 65'535;  // flows older than the rules: the kernel's own
                                                    // bound of a set that rules change
inline constexpr std::size_t kDiscoveryAskedMax = 1024;  // ports that the host asks neighbours from
inline constexpr std::chrono::seconds kDiscoveryAnswers{30};  // of SSDP within 5 s, as is asked
                                                              // for; of mDNS at once
inline constexpr int kApplyTries = 20;  // when another program changes the ruleset in the meantime
inline constexpr std::size_t kPanicCallersMax = 16;  // admins who called a panic; the latest stay

// Docker. What it answers is as long as its containers are many, and it runs for strangers' apps.
inline constexpr std::chrono::seconds kDockerPatience{10};  // for one request and its answer
inline constexpr std::chrono::seconds kProcessGrace{1};     // for a program that was asked to end
inline constexpr std::size_t kDockerAnswerMax = 16u << 20;  // bytes; inspecting one takes 10 KiB
inline constexpr std::size_t kDockerPathMax = 1024;         // bytes of what is asked for
inline constexpr std::size_t kAuditedMax = 1024;            // that one audit asks for
inline constexpr std::size_t kContainerListMax = 4096;      // mounts, ports ... of one container
inline constexpr std::size_t kFindingsMax = 64;  // of one container; the gravest stay, and how many
                                                 // were left out is said

// An audit of the host. Its files are root's, but a mistake can make them long.
inline constexpr std::size_t kAuditedFileBytesMax = 1u << 20;
inline constexpr std::size_t kAuditedFilesMax = 256;  // that one pattern or folder gives
inline constexpr int kIncludeDepthMax = 16;           // of sshd_config, as sshd itself
inline constexpr std::size_t kListenersMax = 4096;    // sockets of strangers' programs
inline constexpr std::size_t kProcessesMax = 65'536;  // whose sockets are looked at

// An audit of TLS. Whoever answers is a stranger, and so is what a certificate says.
inline constexpr std::size_t kTlsHostsMax = 64;               // of one audit
inline constexpr std::size_t kTlsAddressesMax = 4;            // of one host
inline constexpr std::size_t kTlsAnswerMax = 128u << 10;      // bytes of hellos and certificates
inline constexpr std::size_t kTlsChainMax = 32;               // certificates; real ones have 2 to 5
inline constexpr std::size_t kTlsNamesMax = 256;              // of one certificate
inline constexpr std::size_t kTlsConnectionsMax = 8;          // at once
inline constexpr std::size_t kTlsHeaderBytesMax = 64u << 10;  // of an answer of HTTP
inline constexpr std::size_t kHttpHeadersMax = 256;           // of one answer
inline constexpr std::size_t kTlsGreetingMax = 8192;          // bytes before STARTTLS
inline constexpr int kNginxDepthMax = 32;                     // blocks in each other
inline constexpr std::size_t kSharedNamesMax = 64;            // that are told
inline constexpr std::size_t kSharedUpstreamsMax = 16;        // of one name
inline constexpr std::chrono::milliseconds kTlsPatience{3000};        // for one connection
inline constexpr std::chrono::milliseconds kTlsHostPatience{20'000};  // for all of one address

// Files of another program's configuration, before and after.
inline constexpr std::size_t kTextDiffCellsMax = 4u << 20;   // pairs of lines; 16 MiB of counts
inline constexpr std::size_t kInstalledDiffLinesMax = 2000;  // shown of all files together
inline constexpr std::size_t kInstalledLineShownMax = 1000;  // characters of one

// A trial. Nobody waits longer than a day: what is unconfirmed then was forgotten.
inline constexpr std::chrono::seconds kTrialMax{86'400};
inline constexpr int kRollBackTries = 60;  // of a guardian, a second apart; then a command's turn

static_assert(kWindowCountMax < kRateCountMax);
static_assert(kRatePeriodMax < std::chrono::hours{24 * 7},
              "a slot's inner limit is 1/week: a window must be shorter");

}  // namespace fw
