// HttpFault: why a message was refused, with the status to answer a request with and the name its
// counter has. A response is never answered with these: a backend that sends one is a bad gateway
// (502), whatever the reason.
//
// Much of what is refused here many servers take, each in its own way; a message that two servers
// along a path delimit differently is what request smuggling is made of (RFC 9112 §11.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fairlead::protocol {

// X(enumerator, counter name, status). One counter each.
#define FAIRLEAD_HTTP_FAULTS(X)                                                                 \
  X(kControlCharacter, "control_character", 400)                 /* RFC 9110 §5.5 */            \
  X(kBareCr, "bare_cr", 400)                                     /* RFC 9112 §2.2 */            \
  X(kBareLf, "bare_lf", 400)                                     /* RFC 9112 §2.2, §11.2 */     \
  X(kLeadingEmptyLines, "leading_empty_lines", 400)              /* RFC 9112 §2.2: our bound */ \
  X(kStartLine, "start_line", 400)                               /* RFC 9112 §3, §4 */          \
  X(kVersion, "version", 505)                                    /* RFC 9110 §15.6.6 */         \
  X(kMethod, "method", 501)                                      /* RFC 9110 §9.1 */            \
  X(kTarget, "target", 400)                                      /* RFC 9112 §3.2 */            \
  X(kTargetTooLong, "target_too_long", 414)                      /* RFC 9112 §3 */              \
  X(kHeadTooLarge, "head_too_large", 431)                        /* RFC 6585 §5 */              \
  X(kTooManyFields, "too_many_fields", 431)                      /* RFC 6585 §5 */              \
  X(kObsFold, "obs_fold", 400)                                   /* RFC 9112 §5.2 */            \
  X(kFieldNameSpace, "field_name_space", 400)                    /* RFC 9112 §5.1 */            \
  X(kFieldName, "field_name", 400)                               /* RFC 9110 §5.1 */            \
  X(kHostMissing, "host_missing", 400)                           /* RFC 9112 §3.2 */            \
  X(kHostRepeated, "host_repeated", 400)                         /* RFC 9112 §3.2 */            \
  X(kHostInvalid, "host_invalid", 400)                           /* RFC 9112 §3.2 */            \
  X(kHostDiffers, "host_differs", 400)                           /* RFC 9112 §3.2 */            \
  X(kContentLength, "content_length", 400)                       /* RFC 9110 §8.6 */            \
  X(kContentLengthRepeated, "content_length_repeated", 400)      /* RFC 9112 §6.3 */            \
  X(kLengthAndCoding, "length_and_coding", 400)                  /* RFC 9112 §6.3 */            \
  X(kTransferCoding, "transfer_coding", 400)                     /* RFC 9112 §6.1, §6.3 */      \
  X(kTransferCodingUnknown, "transfer_coding_unknown", 501)      /* RFC 9112 §6.1 */            \
  X(kTransferCodingInHttp10, "transfer_coding_in_http_1_0", 400) /* RFC 9112 §6.1 */            \
  X(kRefusedByParser, "refused_by_parser", 400) /* the library's word, ours was yes */

enum class HttpFault : uint8_t {
#define FAIRLEAD_X(id, name, status) id,
  FAIRLEAD_HTTP_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
};

struct HttpFaultInfo {
  std::string_view name;
  uint16_t status;
};

inline constexpr auto kHttpFaults = std::to_array<HttpFaultInfo>({
#define FAIRLEAD_X(id, name, status) {name, status},
    FAIRLEAD_HTTP_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
});
inline constexpr size_t kHttpFaultCount = kHttpFaults.size();

/// "bare_lf"
constexpr std::string_view http_fault_name(HttpFault fault) {
  return kHttpFaults[static_cast<size_t>(fault)].name;
}

/// The status code to answer a request with, 400 to 505.
constexpr uint16_t http_fault_status(HttpFault fault) {
  return kHttpFaults[static_cast<size_t>(fault)].status;
}

}  // namespace fairlead::protocol
